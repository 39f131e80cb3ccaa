// Where the log's files come from: a folder, or a server that serves them (c2sp.org/tlog-tiles).

package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Hashes in a full tile, and records in a full bundle: 2^8.
const (
	tileHeight  = 8
	bundleWidth = 1 << tileHeight
)

// A bundle has 256 records of at most 65,535 bytes; nothing longer is read from a server.
const answerBytesMax = bundleWidth * (1 << 16)

const requestTimeMax = 30 * time.Second

// errMissing means that a file of the log is not there, which is a fault of the log.
var errMissing = errors.New("it is missing")

// source reads one file of the log by its name in the layout.
type source struct {
	get func(name string) ([]byte, error)
}

func open(where, ca string) (source, error) {
	if !strings.HasPrefix(where, "https://") && !strings.HasPrefix(where, "http://") {
		return source{get: func(name string) ([]byte, error) { return readFile(filepath.Join(where, name)) }}, nil
	}
	authorities := x509.NewCertPool()
	if ca != "" {
		certificates, err := os.ReadFile(ca)
		if err != nil || !authorities.AppendCertsFromPEM(certificates) {
			return source{}, fmt.Errorf("%w: no certificate in `%s`", errUnreadable, ca)
		}
	}
	client := &http.Client{
		Timeout:   requestTimeMax,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities}},
	}
	address := strings.TrimRight(where, "/")
	return source{get: func(name string) ([]byte, error) { return request(client, address+"/"+name) }}, nil
}

func readFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errMissing
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return data, nil
}

func request(client *http.Client, address string) ([]byte, error) {
	ask, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if token := os.Getenv("STRONGROOM_TOKEN"); token != "" {
		ask.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(ask)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return nil, errMissing
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: `%s` answers %s", errUnreadable, address, answer.Status)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, answerBytesMax))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return data, nil
}

// name is where the layout puts a tile: Go's own paths name the height, and call bundles `data`.
func name(tile tlog.Tile) string {
	rest := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight))
	if records, found := strings.CutPrefix(rest, "data/"); found {
		rest = "entries/" + records
	}
	return "tile/" + rest
}

// tile reads a tile or bundle. exact is false if it is the full one, which may stand for any partial one before it.
func (s source) tile(tile tlog.Tile) (data []byte, exact bool, err error) {
	data, err = s.get(name(tile))
	if errors.Is(err, errMissing) && tile.W < bundleWidth {
		full := tile
		full.W = bundleWidth
		data, err = s.get(name(full))
		return data, false, err
	}
	return data, true, err
}

// records reads the records of one bundle as the tree of `size` fills it.
func (s source) records(number, size int64) ([][]byte, error) {
	width := min(bundleWidth, size-number*bundleWidth)
	tile := tlog.Tile{H: tileHeight, L: -1, N: number, W: int(width)}
	data, exact, err := s.tile(tile)
	if err != nil {
		return nil, fmt.Errorf("`%s`: %w", name(tile), err)
	}
	records := make([][]byte, 0, width)
	for range width {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("`%s` is cut short", name(tile))
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		records, data = append(records, data[2:end]), data[end:]
	}
	if exact && len(data) > 0 {
		return nil, fmt.Errorf("`%s` has bytes after its last record", name(tile))
	}
	return records, nil
}

// tiles gives the hash tiles to tlog.TileHashReader, each read once.
type tiles struct {
	source source
	kept   map[tlog.Tile][]byte
}

func (t *tiles) Height() int { return tileHeight }

// SaveTiles has nothing to do: they are kept as they are read, and checked each time.
func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(wanted))
	for at, tile := range wanted {
		data, known := t.kept[tile]
		if !known {
			read, exact, err := t.source.tile(tile)
			if err != nil {
				return nil, fmt.Errorf("`%s`: %w", name(tile), err)
			}
			length := tile.W * tlog.HashSize
			if len(read) < length || exact && len(read) != length {
				return nil, fmt.Errorf("`%s` has not the size of a tile", name(tile))
			}
			data = read[:length]
			t.kept[tile] = data
		}
		all[at] = data
	}
	return all, nil
}
