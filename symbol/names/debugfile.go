// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// Folders are where debug files are: what was stripped from a program, in a file of its own.
type Folders struct {
	// Debug has folders like /usr/lib/debug.
	Debug []string
	// Cache has folders in which debuginfod's client keeps what it has fetched.
	Cache []string
}

// SystemFolders returns the folders that debuggers search. It asks getenv for the variables that
// debuginfod's client obeys.
func SystemFolders(getenv func(string) string) Folders {
	f := Folders{Debug: []string{"/usr/lib/debug"}}
	const client = "debuginfod_client"
	if dir := getenv("DEBUGINFOD_CACHE_PATH"); dir != "" {
		f.Cache = append(f.Cache, dir)
	}
	if dir := getenv("XDG_CACHE_HOME"); dir != "" {
		f.Cache = append(f.Cache, filepath.Join(dir, client))
	}
	if dir := getenv("HOME"); dir != "" {
		f.Cache = append(f.Cache, filepath.Join(dir, ".cache", client), filepath.Join(dir, "."+client+"_cache"))
	}
	return f
}

const (
	maxLink    = 4 << 10   // bytes of the section that names a debug file
	maxSummed  = 512 << 20 // bytes of a debug file that is known by its checksum only
	linkName   = ".gnu_debuglink"
	minBuildID = 2 // bytes
)

var errNoDebugFile = errors.New("there is no debug file of this build")

// debugFile is an open debug file.
type debugFile struct {
	file *os.File
	elf  *elffile.File
}

// openDebugFile opens the debug file of the same build that has a section of the type.
func (f *File) openDebugFile(want elf.SectionType) (*debugFile, error) {
	return f.findDebugFile(func(e *elffile.File) bool { return e.SectionOf(want) != nil })
}

// findDebugFile opens the first debug file of the same build that is useful.
func (f *File) findDebugFile(useful func(*elffile.File) bool) (*debugFile, error) {
	id := f.module.BuildID
	if len(id) >= 2*minBuildID {
		for _, dir := range f.files.folders.Debug {
			if d := f.tryDebugFile(filepath.Join(dir, ".build-id", id[:2], id[2:]+".debug"), nil, useful); d != nil {
				return d, nil
			}
		}
		for _, dir := range f.files.folders.Cache {
			if d := f.tryDebugFile(filepath.Join(dir, id, "debuginfo"), nil, useful); d != nil {
				return d, nil
			}
		}
	}
	name, sum, ok := f.debugLink()
	if !ok {
		return nil, errNoDebugFile
	}
	dir := filepath.Dir(f.module.Name)
	places := []string{filepath.Join(dir, name), filepath.Join(dir, ".debug", name)}
	for _, debug := range f.files.folders.Debug {
		places = append(places, filepath.Join(debug, dir, name))
	}
	for _, path := range places {
		if d := f.tryDebugFile(path, &sum, useful); d != nil {
			return d, nil
		}
	}
	return nil, errNoDebugFile
}

// debugLink returns the name of the debug file and its checksum, if the file has them.
func (f *File) debugLink() (name string, sum uint32, ok bool) {
	section := f.elf.Section(linkName)
	if section == nil || !strings.HasPrefix(f.module.Name, "/") {
		return "", 0, false
	}
	b, err := f.elf.Bytes(section, maxLink)
	if err != nil {
		return "", 0, false
	}
	end := bytes.IndexByte(b, 0)
	at := (end + 4) &^ 3 // the checksum follows the name, aligned
	if end <= 0 || at+4 > len(b) {
		return "", 0, false
	}
	name = string(b[:end])
	if name == "." || name == ".." || strings.Contains(name, "/") {
		return "", 0, false // it is to name a file, not a path that leads elsewhere
	}
	return name, binary.LittleEndian.Uint32(b[at:]), true
}

// tryDebugFile opens a file if it belongs to the same build: by its build id or, if the module has none, by its checksum.
func (f *File) tryDebugFile(path string, sum *uint32, useful func(*elffile.File) bool) *debugFile {
	file, err := safefile.Open(path)
	if err != nil {
		return nil
	}
	st, err := file.Stat()
	if err != nil {
		file.Close()
		return nil
	}
	e, err := elffile.New(file, st.Size())
	if err != nil || e.Machine != f.elf.Machine || e.Wide != f.elf.Wide || !useful(e) || !f.sameBuild(e, file, st.Size(), sum) {
		file.Close()
		return nil
	}
	return &debugFile{file: file, elf: e}
}

func (f *File) sameBuild(e *elffile.File, r io.ReaderAt, size int64, sum *uint32) bool {
	if f.module.BuildID != "" {
		return e.BuildID() == f.module.BuildID
	}
	if sum == nil || size > maxSummed {
		return false
	}
	h := crc32.NewIEEE()
	if _, err := io.Copy(h, io.NewSectionReader(r, 0, size)); err != nil {
		return false
	}
	return h.Sum32() == *sum
}
