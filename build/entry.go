// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// entry is a build in the cache: the object, and the inputs that the compiler
// read.
type entry struct {
	// Deps are the files that the compiler read.
	Deps []dep `json:"deps"`
	// Absent are files that the compiler would have read if they had existed.
	Absent   []string `json:"absent,omitempty"`
	Warnings []byte   `json:"warnings,omitempty"`

	object []byte
}

// dep is one input. Its path starts at the gadget's folder unless it is absolute.
type dep struct {
	Path string `json:"path"`
	Sum  string `json:"sum"`
}

// encode puts the entry into bytes: a line of JSON, then the object.
func (e *entry) encode() []byte {
	head, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and bytes cannot fail
	}
	return append(append(head, '\n'), e.object...)
}

func decodeEntry(data []byte) (*entry, error) {
	head, object, ok := bytes.Cut(data, []byte("\n"))
	e := &entry{object: object}
	if err := json.Unmarshal(head, e); err != nil {
		return nil, fmt.Errorf("not an entry for an object: %w", err)
	}
	if !ok || len(object) == 0 || len(e.Deps) == 0 {
		return nil, errors.New("not a whole entry for an object")
	}
	return e, nil
}

// changed returns the first input that is no longer as it was, and "" if all are. The gadget may
// have moved to the folder dir.
func (e *entry) changed(dir string) string {
	for _, d := range e.Deps {
		data, err := readInput(from(dir, d.Path))
		if err != nil || checksum(data) != d.Sum {
			return d.Path
		}
	}
	for _, path := range e.Absent {
		if _, err := os.Stat(from(dir, path)); err == nil {
			return path
		}
	}
	return ""
}

// from resolves a path relative to dir, if it is relative. It does not clean it, because the meaning of ".." depends on links.
func from(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return dir + "/" + path
}

// note records the files that the compiler read in a run that began at start.
func (e *entry) note(source string, files []string, start time.Time, s *search) error {
	end := time.Now()
	var deps []dep
	var absent []string
	read := make(map[string]bool)
	for _, file := range files {
		read[s.portable(file)] = true
		absent = append(absent, s.hiders(file)...)
		if s.fixed && s.ours(file) {
			continue
		}
		path := s.portable(file)
		sum, err := checksumSettled(from(s.folder, path), start, end)
		if err != nil {
			return err
		}
		deps = append(deps, dep{path, sum})
	}
	if !slices.ContainsFunc(deps, func(d dep) bool { return d.Path == source }) {
		return errors.New("the compiler did not say that it read " + source)
	}
	e.Deps = deps
	e.Absent = slices.DeleteFunc(absent, func(path string) bool { return read[path] })
	return nil
}

// checksumSettled returns the checksum of a file. If the file was written to while the compiler ran, it also returns an
// error, because it is unknown which contents the compiler read.
func checksumSettled(path string, start, end time.Time) (string, error) {
	data, err := readInput(path)
	if err != nil {
		return "", err
	}
	t, err := modTime(path)
	if err == nil && t.After(start) && !t.After(end) {
		err = fmt.Errorf("%s was changed during the build", path)
	}
	return checksum(data), err
}

// readInput reads a file that the compiler read, or might read.
func readInput(path string) ([]byte, error) {
	return safefile.Read(path, "a file that a gadget includes", maxInput)
}

func modTime(path string) (time.Time, error) {
	st, err := os.Stat(path)
	if err != nil {
		return time.Time{}, err
	}
	return st.ModTime(), nil
}
