// Reads a published log with Go's own golang.org/x/mod/sumdb, which knows nothing of the program that wrote it.
//
//	tlogread read WHERE VKEY            the checkpoint, the root by the tiles, and every entry under it
//	tlogread grown WHERE VKEY N ROOT    whether the log of N leaves with that root is a prefix of this one
//	tlogread proofs                     proofs on standard input, a line each: "ok" or "refused"
//
// WHERE is a folder or an http:// address; hashes are in hexadecimal. The log is laid out as C2SP tlog-tiles has it:
// sumdb's own tiles have their height in the path and no entry bundles, the hashes in them are the same. Exit code 1 and
// one line on standard error where anything does not agree.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// files is where a published log stands.
type files string

func (where files) read(path string) ([]byte, error) {
	if !strings.HasPrefix(string(where), "http://") {
		return os.ReadFile(filepath.Join(string(where), path))
	}
	client := http.Client{Timeout: 20 * time.Second}
	answer, err := client.Get(string(where) + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

// tiles is a tlog.TileReader over the paths of C2SP tlog-tiles. What was verified once is kept.
type tiles struct {
	where files
	saved map[tlog.Tile][]byte
}

func (t *tiles) Height() int { return height }

func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for i, tile := range wanted {
		if data, ok := t.saved[tile]; ok {
			found[i] = data
			continue
		}
		// "tile/8/0/x001/234.p/5" is "tile/0/x001/234.p/5" there.
		path := "tile/" + strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
		data, err := t.where.read(path)
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s: %d bytes are not %d hashes", path, len(data), tile.W)
		}
		found[i] = data
	}
	return found, nil
}

func (t *tiles) SaveTiles(wanted []tlog.Tile, data [][]byte) {
	for i, tile := range wanted {
		t.saved[tile] = data[i]
	}
}

// log is a published log: its checkpoint, and hashes that are verified against its root.
type log struct {
	where  files
	tree   tlog.Tree
	hashes tlog.HashReader
}

func open(where files, vkey string) (*log, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	data, err := where.read("checkpoint")
	if err != nil {
		return nil, err
	}
	signed, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	// tlog.ParseTree reads the header of Go's own log alone; this one has its origin there.
	lines := strings.Split(signed.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return nil, errors.New("checkpoint: not of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 1 {
		return nil, fmt.Errorf("checkpoint: size %q", lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return nil, fmt.Errorf("checkpoint: root %q", lines[2])
	}
	tree := tlog.Tree{N: size, Hash: tlog.Hash(*(*[tlog.HashSize]byte)(root))}
	reader := &tiles{where, map[tlog.Tile][]byte{}}
	return &log{where, tree, tlog.TileHashReader(tree, reader)}, nil
}

// read checks the root by the tiles, and each entry of each bundle by its leaf in them.
func (l *log) read() error {
	root, err := tlog.TreeHash(l.tree.N, l.hashes)
	if err != nil {
		return err
	}
	if root != l.tree.Hash {
		return fmt.Errorf("the tiles give root %x, the checkpoint says %x", root[:], l.tree.Hash[:])
	}
	for start := int64(0); start < l.tree.N; start += 1 << height {
		width := int(l.tree.N - start)
		if width > 1<<height {
			width = 1 << height
		}
		if err := l.bundle(start, width); err != nil {
			return err
		}
	}
	return nil
}

func (l *log) bundle(start int64, width int) error {
	// Entry bundles are named as the tiles of level 0 over them.
	named := tlog.Tile{H: height, L: 0, N: start >> height, W: width}
	path := "tile/entries/" + strings.TrimPrefix(named.Path(), fmt.Sprintf("tile/%d/0/", height))
	data, err := l.where.read(path)
	if err != nil {
		return err
	}
	indexes := make([]int64, width)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, start+int64(i))
	}
	leaves, err := l.hashes.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for i, leaf := range leaves {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return fmt.Errorf("%s: ends within entry %d", path, i)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		if tlog.RecordHash(data[2:end]) != leaf {
			return fmt.Errorf("%s: entry %d is not in the tree", path, start+int64(i))
		}
		data = data[end:]
	}
	if len(data) != 0 {
		return fmt.Errorf("%s: %d bytes follow the last entry", path, len(data))
	}
	return nil
}

// grown proves by the log's own tiles that an older tree is a prefix of it, and checks that proof.
func (l *log) grown(size int64, root tlog.Hash) error {
	proof, err := tlog.ProveTree(l.tree.N, size, l.hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, l.tree.N, l.tree.Hash, size, root)
}

// proved checks one line: "record SIZE ROOT INDEX LEAF PATH..." or "tree SIZE ROOT OLDSIZE OLDROOT PATH...".
func proved(line string) error {
	words := strings.Fields(line)
	if len(words) < 5 {
		return errors.New("too few words")
	}
	size, number := whole(words[1]), whole(words[3])
	path := make([]tlog.Hash, len(words)-5)
	for i := range path {
		path[i] = hash(words[5+i])
	}
	if words[0] == "record" {
		return tlog.CheckRecord(path, size, hash(words[2]), number, hash(words[4]))
	}
	return tlog.CheckTree(path, size, hash(words[2]), number, hash(words[4]))
}

func hash(text string) tlog.Hash {
	data, err := hex.DecodeString(text)
	if err != nil || len(data) != tlog.HashSize {
		fail(fmt.Errorf("not a hash: %q", text))
	}
	return tlog.Hash(*(*[tlog.HashSize]byte)(data))
}

func whole(text string) int64 {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		fail(err)
	}
	return number
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func main() {
	arguments := os.Args[1:]
	if len(arguments) == 1 && arguments[0] == "proofs" {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			if err := proved(lines.Text()); err != nil {
				fmt.Println("refused")
			} else {
				fmt.Println("ok")
			}
		}
		return
	}
	if len(arguments) < 3 {
		fail(errors.New("tlogread read WHERE VKEY | grown WHERE VKEY N ROOT | proofs"))
	}
	l, err := open(files(arguments[1]), arguments[2])
	if err != nil {
		fail(err)
	}
	if arguments[0] == "grown" {
		err = l.grown(whole(arguments[3]), hash(arguments[4]))
	} else {
		err = l.read()
	}
	if err != nil {
		fail(err)
	}
	fmt.Printf("%d %x\n", l.tree.N, l.tree.Hash[:])
}
