"""A CSV file by its metadata, as the package csvw reads it: FILE. Prints whether both are valid, and the first row."""

import json
import sys
import warnings

from csvw import CSVW  # type: ignore[import-untyped,import-not-found,unused-ignore]  # the judges' own environment


def main() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = CSVW(sys.argv[1])
        rows = list(found.tables[0].iterdicts(strict=True)) if found.is_valid else []
    complaints = [str(one.message) for one in said if not issubclass(one.category, DeprecationWarning)]
    first = {name: str(value) for name, value in rows[0].items()} if rows else {}
    print(json.dumps({"valid": found.is_valid, "complaints": complaints, "rows": len(rows), "first": first}))


if __name__ == "__main__":
    main()
