// Verifies a Strongroom audit log with the code of Go's checksum database (golang.org/x/mod/sumdb), of which nothing is ours:
// the signature of the checkpoint, the tree's hash, every record under it, inclusion proofs, consistency with checkpoints
// that somebody kept, and receipts. What is ours here is only how a file is found and cut.
//
//	go_verifier -key VKEY -log DATA/audit/log [-older CHECKPOINT]... [-proof RECEIPT -record RECORD]
//	go_verifier -key VKEY -log https://host:port/api/strongroom/v1/audit/log -ca DATA/tls/ca.pem   (token: $STRONGROOM_TOKEN)
//
// It prints one JSON object and exits with 0 if all holds, 1 if something does not, 2 if it could not look.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// How many records get an inclusion proof of their own, spread over the log; every record is compared with its leaf anyway.
const inclusionProofsMax = 64

// Faults that are listed; all are counted.
const faultsShownMax = 20

// errUnreadable means that the log could not be looked at, which says nothing about it.
var errUnreadable = errors.New("cannot read the log")

// report is what is printed.
type report struct {
	OK         bool     `json:"ok"`
	Size       int64    `json:"size"`
	Root       string   `json:"root"`
	Records    int64    `json:"records"`
	Inclusions int      `json:"inclusions"`
	Older      []int64  `json:"older"`
	Faults     []string `json:"faults"`
	FaultCount int      `json:"fault_count"`
}

func (r *report) fault(format string, values ...any) {
	r.FaultCount++
	if len(r.Faults) < faultsShownMax {
		r.Faults = append(r.Faults, fmt.Sprintf(format, values...))
	}
}

func main() {
	var older []string
	key := flag.String("key", "", "the log's verifier key")
	log := flag.String("log", "", "the folder that holds `checkpoint` and `tile`, or its address")
	ca := flag.String("ca", "", "the authority that the server's certificate must come from")
	proof := flag.String("proof", "", "a receipt (tlog-proof) to check")
	record := flag.String("record", "", "the receipt's record")
	flag.Func("older", "an earlier checkpoint, which the log must continue; may be repeated", func(file string) error {
		older = append(older, file)
		return nil
	})
	flag.Parse()
	found := report{Faults: []string{}, Older: []int64{}}
	verifier, err := note.NewVerifier(*key)
	if err == nil {
		if *proof != "" {
			err = checkReceipt(&found, verifier, *proof, *record)
		} else {
			err = checkLog(&found, verifier, *log, *ca, older)
		}
	}
	if errors.Is(err, errUnreadable) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err != nil {
		found.fault("%v", err)
	}
	found.OK = found.FaultCount == 0
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		os.Exit(2)
	}
	if !found.OK {
		os.Exit(1)
	}
}

// checkLog verifies the whole log. What it finds wrong with single records goes into the report, what ends it is its error.
func checkLog(found *report, verifier note.Verifier, where, ca string, older []string) error {
	source, err := open(where, ca)
	if err != nil {
		return err
	}
	signed, err := source.get("checkpoint")
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(signed, verifier)
	if err != nil {
		return err
	}
	found.Size, found.Root = tree.N, tree.Hash.String()
	// The reader checks each tile against the signed hash before it gives anything of it.
	hashes := tlog.TileHashReader(tree, &tiles{source: source, kept: map[tlog.Tile][]byte{}})
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return errors.New("the tree's hash is not the signed one")
	}
	if err := checkRecords(found, source, tree, hashes); err != nil {
		return err
	}
	for _, file := range older {
		if err := checkOlder(found, verifier, tree, hashes, file); err != nil {
			return fmt.Errorf("the log does not continue `%s`: %w", file, err)
		}
	}
	return nil
}

// checkRecords compares every record with its authenticated leaf, and proves some to be included as a stranger would.
func checkRecords(found *report, source source, tree tlog.Tree, hashes tlog.HashReader) error {
	step := max(1, tree.N/inclusionProofsMax)
	for first := int64(0); first < tree.N; first += bundleWidth {
		records, err := source.records(first/bundleWidth, tree.N)
		if errors.Is(err, errUnreadable) {
			return err
		}
		if err != nil {
			found.fault("%v", err)
			continue
		}
		places := make([]int64, len(records))
		for at := range records {
			places[at] = tlog.StoredHashIndex(0, first+int64(at))
		}
		leaves, err := hashes.ReadHashes(places)
		if err != nil {
			found.fault("the leaves of the records from %d: %v", first, err)
			continue
		}
		for at, record := range records {
			index, hash := first+int64(at), tlog.RecordHash(record)
			if hash != leaves[at] {
				found.fault("record %d is not the one whose hash is in the tree", index)
				continue
			}
			found.Records++
			if index%step == 0 || index == tree.N-1 {
				if err := checkInclusion(tree, hashes, index, hash); err != nil {
					found.fault("record %d: %v", index, err)
				}
				found.Inclusions++
			}
		}
	}
	return nil
}

func checkInclusion(tree tlog.Tree, hashes tlog.HashReader, index int64, hash tlog.Hash) error {
	proof, err := tlog.ProveRecord(tree.N, index, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, hash)
}

// checkOlder proves that the log is the one of an earlier checkpoint with records added at its end, and nothing else.
func checkOlder(found *report, verifier note.Verifier, tree tlog.Tree, hashes tlog.HashReader, file string) error {
	signed, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	before, err := openCheckpoint(signed, verifier)
	if err != nil {
		return err
	}
	if before.N > tree.N {
		return fmt.Errorf("it has only %d of its %d records", tree.N, before.N)
	}
	proof, err := tlog.ProveTree(tree.N, before.N, hashes)
	if err != nil {
		return err
	}
	found.Older = append(found.Older, before.N)
	return tlog.CheckTree(proof, tree.N, tree.Hash, before.N, before.Hash)
}
