// Checkpoints (c2sp.org/tlog-checkpoint) and receipts (c2sp.org/tlog-proof).

package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// openCheckpoint reads a checkpoint that `verifier` has signed.
func openCheckpoint(signed []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("the checkpoint: %w", err)
	}
	for _, signature := range append(opened.Sigs, opened.UnverifiedSigs...) {
		// The last letter has bits that mean nothing; they too must be as they were written.
		if _, err := base64.StdEncoding.Strict().DecodeString(signature.Base64); err != nil {
			return tlog.Tree{}, fmt.Errorf("the checkpoint's signature: %w", err)
		}
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return tlog.Tree{}, errors.New("the note is not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("the checkpoint's size is `%s`", lines[1])
	}
	hash, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("the checkpoint's hash: %w", err)
	}
	return tlog.Tree{N: size, Hash: hash}, nil
}

// checkReceipt checks that a receipt shows its record to be in the log.
func checkReceipt(found *report, verifier note.Verifier, proofFile, recordFile string) error {
	receipt, err := os.ReadFile(proofFile)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	record, err := os.ReadFile(recordFile)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	head, signed, _ := strings.Cut(string(receipt), "\n\n")
	lines := strings.Split(head, "\n")
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("this is not a tlog-proof")
	}
	lines = lines[1:]
	if strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return errors.New("the receipt has no index")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil {
		return fmt.Errorf("the receipt's index: %w", err)
	}
	proof := tlog.RecordProof{}
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return fmt.Errorf("the receipt's hashes: %w", err)
		}
		proof = append(proof, hash)
	}
	tree, err := openCheckpoint([]byte(signed), verifier)
	if err != nil {
		return err
	}
	if index < 0 || index >= tree.N {
		return fmt.Errorf("the receipt's index %d is not below its tree's size %d", index, tree.N)
	}
	found.Size, found.Root, found.Inclusions = tree.N, tree.Hash.String(), 1
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(record))
}
