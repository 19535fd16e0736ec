// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// The kinds of things in a cache, each a subfolder, and how many of each are kept.
const (
	objectKind, maxObjects             = "objects", 200
	clangKind, maxClangs               = "clang", 50
	headerKind, maxHeaders             = "include", 4
	tempPrefix                         = ".tmp-"
	tempAge                            = 24 * time.Hour // a file that is being written for longer was left by a crash
	touchAfter                         = time.Hour      // how exact the time of last use is
	sealLabel                          = "gizmo-cache-1 "
	sealSize                           = len(sealLabel) + 2*sha256.Size + 1
	privateDir             fs.FileMode = 0o700
)

// cache is a folder of things that can be made again. Every file in it is sealed with a checksum,
// appears by a rename, and is never changed after that, so that any number of processes can use a
// cache at once. The zero value is a cache that forgets everything.
type cache struct {
	dir string
	say logFunc
}

// openCache returns the cache in the folder dir, the default one if dir is empty. There is always
// a cache, if only one that forgets.
func openCache(dir string, say logFunc) cache {
	if dir == "" {
		var err error
		if dir, err = defaultFolder(); err != nil {
			say("building without a cache: %v", err)
			return cache{say: say}
		}
	}
	dir, err := filepath.Abs(dir)
	for _, kind := range []string{objectKind, clangKind, headerKind} {
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, kind), privateDir)
		}
	}
	if err != nil {
		say("building without a cache: %v", err)
		return cache{say: say}
	}
	return cache{dir: dir, say: say}
}

func (c cache) path(kind, key string) string { return filepath.Join(c.dir, kind, key) }

// load returns what was saved under the key, if it is there and intact.
func (c cache) load(kind, key string) ([]byte, bool) {
	if c.dir == "" {
		return nil, false
	}
	path := c.path(kind, key)
	sealed, err := os.ReadFile(path)
	if err != nil {
		return nil, false
	}
	data, err := unseal(sealed)
	if err != nil {
		c.say("cache: %s: %v", path, err)
		return nil, false
	}
	touch(path)
	return data, true
}

// save remembers data under the key. It fails silently but for the log: a cache is no duty.
func (c cache) save(kind, key string, data []byte, keep int) {
	if c.dir == "" {
		return
	}
	if err := writeFile(c.path(kind, key), seal(data)); err != nil {
		c.say("cache: %v", err)
		return
	}
	c.prune(kind, keep)
}

// seal puts a checksum before the data; unseal checks and removes it.
func seal(data []byte) []byte {
	return append(fmt.Appendf(nil, "%s%s\n", sealLabel, checksum(data)), data...)
}

func unseal(sealed []byte) ([]byte, error) {
	if len(sealed) < sealSize || !bytes.HasPrefix(sealed, []byte(sealLabel)) {
		return nil, errors.New("not a file of this cache")
	}
	data := sealed[sealSize:]
	if string(sealed[len(sealLabel):sealSize]) != checksum(data)+"\n" {
		return nil, errors.New("damaged: the checksum does not match")
	}
	return data, nil
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// writeFile makes the file appear at path with all its contents, or not at all.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// touch notes that a thing was used, for prune.
func touch(path string) {
	now := time.Now()
	if st, err := os.Stat(path); err == nil && now.Sub(st.ModTime()) > touchAfter {
		os.Chtimes(path, now, now)
	}
}

// prune removes the things of a kind that were not used for longest, but for the number to keep,
// and what crashed processes left behind.
func (c cache) prune(kind string, keep int) {
	entries, err := os.ReadDir(filepath.Join(c.dir, kind))
	if err != nil {
		return
	}
	used := make(map[string]time.Time)
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // another process removed it
		}
		if strings.HasPrefix(e.Name(), tempPrefix) {
			if time.Since(info.ModTime()) > tempAge {
				os.RemoveAll(c.path(kind, e.Name()))
			}
			continue
		}
		used[e.Name()] = info.ModTime()
		names = append(names, e.Name())
	}
	sort.Slice(names, func(i, j int) bool { return used[names[i]].After(used[names[j]]) })
	for i := keep; i < len(names); i++ {
		os.RemoveAll(c.path(kind, names[i]))
	}
}
