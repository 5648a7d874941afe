// Checks what the server says of its audit log by the Go project's own implementation of notes and trees.
//
//	go run check.go VKEY OLD-NOTE CONSISTENCY.json PROOF.json...
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func read(path string) []byte { return must(os.ReadFile(path)) }

// open verifies a checkpoint and reads its size and root.
func open(text string, verifiers note.Verifiers) (int64, tlog.Hash) {
	opened := must(note.Open([]byte(text), verifiers))
	lines := strings.Split(opened.Text, "\n")
	return must(strconv.ParseInt(lines[1], 10, 64)), must(tlog.ParseHash(lines[2]))
}

func hashes(texts []string) []tlog.Hash {
	var all []tlog.Hash
	for _, text := range texts {
		all = append(all, must(tlog.ParseHash(text)))
	}
	return all
}

func main() {
	verifiers := note.VerifierList(must(note.NewVerifier(os.Args[1])))
	oldSize, oldRoot := open(string(read(os.Args[2])), verifiers)
	var given struct {
		Proof      []string
		Checkpoint string
	}
	if err := json.Unmarshal(read(os.Args[3]), &given); err != nil {
		log.Fatal(err)
	}
	size, root := open(given.Checkpoint, verifiers)
	if err := tlog.CheckTree(hashes(given.Proof), size, root, oldSize, oldRoot); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d entries continue the first %d\n", size, oldSize)
	for _, path := range os.Args[4:] {
		var included struct {
			Entry, Checkpoint string
			Proof             []string
		}
		if err := json.Unmarshal(read(path), &included); err != nil {
			log.Fatal(err)
		}
		size, root := open(included.Checkpoint, verifiers)
		entry := must(base64.StdEncoding.DecodeString(included.Entry))
		// The name of the file is the place of the entry.
		name := strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], ".json")
		index := must(strconv.ParseInt(name, 10, 64))
		if err := tlog.CheckRecord(hashes(included.Proof), size, root, index, tlog.RecordHash(entry)); err != nil {
			log.Fatalf("%s: %v", path, err)
		}
		// Nothing else is proved by it.
		if tlog.CheckRecord(hashes(included.Proof), size, root, index, tlog.RecordHash(append(entry, 0))) == nil {
			log.Fatalf("%s: a changed entry passes", path)
		}
	}
	fmt.Printf("%d entries are in the log\n", len(os.Args)-4)
}
