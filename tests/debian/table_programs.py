"""Opens an exported file with a program by other authors and saves it again: PROGRAM FILE OUT.

pandas, excel: pandas.read_csv with no option at all, then to_csv, or to_excel and back by openpyxl; duckdb: DuckDB's
own CSV and Parquet. Prints as JSON the columns, their types, the number of rows, and two sums.
"""

import json
import sys
from pathlib import Path

LEVEL, SCAN = "tank2.level", "scan"


def by_pandas(file: Path, out: Path, *, excel: bool) -> dict[str, object]:
    import pandas as pd  # type: ignore[import-untyped,import-not-found,unused-ignore]

    frame = pd.read_csv(file)
    level = next(name for name in frame.columns if name.startswith(LEVEL))
    if excel:
        frame.to_excel(out.with_suffix(".xlsx"), index=False)
        saved = pd.read_excel(out.with_suffix(".xlsx"))
        saved.to_csv(out, index=False, sep=";", encoding="utf-8-sig", lineterminator="\r\n")
    else:
        # With its own row numbers, other words for bools, and the columns in another order.
        frame[frame.columns[::-1]].to_csv(out)
    types = [str(kind) for kind in frame.dtypes]
    sums = [float(frame[SCAN].sum()), float(frame[level].sum())]
    return {"columns": list(frame.columns), "types": types, "rows": len(frame), "sums": sums}


def by_duckdb(file: Path, out: Path) -> dict[str, object]:
    import duckdb  # type: ignore[import-untyped,import-not-found,unused-ignore]

    read = "read_csv" if file.suffix == ".csv" else "read_parquet"
    table = duckdb.connect().execute(f"CREATE TABLE t AS SELECT * FROM {read}('{file}')")  # noqa: S608 - our own file
    columns = [(row[0], row[1]) for row in table.execute("DESCRIBE t").fetchall()]
    level = next(name for name, _ in columns if name.startswith(LEVEL))
    (row,) = table.execute(f'SELECT count(*), sum(scan), sum("{level}"::DOUBLE) FROM t').fetchall()  # noqa: S608
    form = "FORMAT csv, HEADER" if out.suffix == ".csv" else "FORMAT parquet"
    table.execute(f"COPY (SELECT * FROM t ORDER BY index) TO '{out}' ({form})")  # noqa: S608 - as above
    names, types = zip(*columns, strict=True)
    return {"columns": names, "types": types, "rows": row[0], "sums": [float(row[1]), float(row[2])]}


def main() -> None:
    program, file, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    said = by_duckdb(file, out) if program == "duckdb" else by_pandas(file, out, excel=program == "excel")
    print(json.dumps(said))


if __name__ == "__main__":
    main()
