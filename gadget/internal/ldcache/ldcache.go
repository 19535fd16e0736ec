// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package ldcache reads /etc/ld.so.cache, in which the dynamic linker of the GNU C library looks up
// where libraries are. The file may be a container's, so that nothing in it is taken on trust.
package ldcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxSize is the largest cache that is read, in bytes. The cache of a system with 2000 libraries has 200 KB.
const MaxSize = 16 << 20

const (
	maxFound = 64 // files for one name
	maxName  = 256
	maxPath  = 4096
)

// Arch is the value of the flags of entries for one architecture.
type Arch uint32

// The architectures whose programs gizmo probes: bits 8 to 15 are the architecture, the others are
// those of the C library's sixth version (elf/sysdeps dl-cache.h, FLAG_…).
const (
	AMD64 Arch = 0x0303
	ARM64 Arch = 0x0a03
)

// ErrFormat is returned for a file that is not a cache.
var ErrFormat = errors.New("it is not in the format of ld.so.cache, or damaged")

// The two formats. In a file of the older format, the newer one usually follows.
const (
	oldMagic      = "ld.so-1.7.0"
	oldHeaderSize = 16 // magic, padding, uint32 count
	oldEntrySize  = 12 // int32 flags, uint32 name, uint32 path

	newMagic      = "glibc-ld.so.cache1.1"
	newHeaderSize = 48 // magic, uint32 count, uint32 size of texts, flags, extensions
	newEntrySize  = 24 // int32 flags, uint32 name, uint32 path, uint32 version, uint64 hardware
	alignment     = 8
)

// cache is where the parts of a cache are.
type cache struct {
	entries []byte
	size    int    // of an entry
	texts   []byte // what names and paths count from
}

// Find returns the paths of all libraries whose name fits, in the cache's order, which is that of
// preference. There may be several: for various processors, and of various versions.
func Find(data []byte, arch Arch, fits func(name string) bool) ([]string, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("it has more than %d bytes", MaxSize)
	}
	c, err := open(data)
	if err != nil {
		return nil, err
	}
	var paths []string
	for e := c.entries; len(e) >= c.size; e = e[c.size:] {
		if Arch(binary.LittleEndian.Uint32(e)) != arch {
			continue
		}
		name, ok := c.text(e[4:], maxName)
		if !ok || !fits(string(name)) {
			continue
		}
		path, ok := c.text(e[8:], maxPath)
		if !ok || len(path) == 0 || path[0] != '/' {
			continue
		}
		if len(paths) == maxFound {
			return nil, fmt.Errorf("more than %d libraries fit", maxFound)
		}
		paths = append(paths, string(path))
	}
	return paths, nil
}

func open(data []byte) (*cache, error) {
	if bytes.HasPrefix(data, []byte(newMagic)) {
		return openNew(data)
	}
	if !bytes.HasPrefix(data, []byte(oldMagic)) {
		return nil, ErrFormat
	}
	entries, rest, err := entries(data, oldHeaderSize, oldEntrySize, oldHeaderSize-4)
	if err != nil {
		return nil, err
	}
	start := len(data) - len(rest)
	start = (start + alignment - 1) &^ (alignment - 1)
	if start <= len(data) && bytes.HasPrefix(data[start:], []byte(newMagic)) {
		return openNew(data[start:])
	}
	return &cache{entries: entries, size: oldEntrySize, texts: rest}, nil
}

func openNew(data []byte) (*cache, error) {
	entries, _, err := entries(data, newHeaderSize, newEntrySize, len(newMagic))
	if err != nil {
		return nil, err
	}
	return &cache{entries: entries, size: newEntrySize, texts: data}, nil
}

// entries cuts the entries out of the data; countAt is where their number is.
func entries(data []byte, header, entry, countAt int) (found, rest []byte, err error) {
	if len(data) < header {
		return nil, nil, ErrFormat
	}
	count := uint64(binary.LittleEndian.Uint32(data[countAt:]))
	data = data[header:]
	if count*uint64(entry) > uint64(len(data)) {
		return nil, nil, ErrFormat
	}
	n := int(count) * entry
	return data[:n], data[n:], nil
}

// text returns the text whose place is in the first bytes of b.
func (c *cache) text(b []byte, limit int) ([]byte, bool) {
	at := uint64(binary.LittleEndian.Uint32(b))
	if at >= uint64(len(c.texts)) {
		return nil, false
	}
	text := c.texts[at:]
	end := bytes.IndexByte(text[:min(limit, len(text))], 0)
	if end < 0 {
		return nil, false
	}
	return text[:end], true
}
