package main

import (
	"bytes"
	"encoding/json"
	"os"
)

// record is what a subscriber keeps: the ids of the events that it handled, and the cursor after
// them. Each response is a line of JSON, added in one write: so effects and cursor are never apart,
// and the last whole line is the truth. In a database this is one transaction, and `seen` is a
// unique key on the id.
type record struct {
	file   *os.File
	cursor string
	seen   map[string]bool
}

type entry struct {
	Cursor string   `json:"cursor"`
	IDs    []string `json:"ids"`
}

func openRecord(path string) (*record, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	// A line without an end was cut off by a crash: what it says comes again.
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	if err := file.Truncate(int64(len(text))); err != nil {
		return nil, err
	}
	kept := &record{file: file, seen: map[string]bool{}}
	for line := range bytes.Lines(text) {
		var entry entry
		if err := json.Unmarshal(line, &entry); err != nil {
			return nil, err
		}
		kept.take(entry)
	}
	return kept, nil
}

// add keeps the ids that are new, in their order, and the cursor, and has them on disk.
func (r *record) add(ids []string, cursor string) error {
	added, fresh := entry{Cursor: cursor, IDs: []string{}}, map[string]bool{}
	for _, id := range ids {
		if !r.seen[id] && !fresh[id] {
			fresh[id] = true
			added.IDs = append(added.IDs, id)
		}
	}
	if len(added.IDs) == 0 && cursor == r.cursor {
		return nil
	}
	line, err := json.Marshal(added)
	if err != nil {
		return err
	}
	if _, err := r.file.Write(append(line, '\n')); err != nil {
		return err
	}
	if err := r.file.Sync(); err != nil {
		return err
	}
	r.take(added)
	return nil
}

func (r *record) take(entry entry) {
	r.cursor = entry.Cursor
	for _, id := range entry.IDs {
		r.seen[id] = true
	}
}
