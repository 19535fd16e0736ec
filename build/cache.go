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
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// The kinds of things in a cache, each a subfolder, and how many of each are kept.
const (
	objectKind, maxObjects             = "objects", 200
	clangKind, maxClangs               = "clang", 50
	headerKind, maxHeaders             = "include", 4
	workKind                           = "work" // the folders of builds that run
	tempPrefix                         = ".tmp-"
	tempAge                            = time.Hour // a file that is being written for longer was left by a crash
	touchAfter                         = time.Hour // how exact the time of last use is
	maxEntry                           = maxOutput + 16<<20
	sealLabel                          = "gizmo-cache-1 "
	sealSize                           = len(sealLabel) + 2*sha256.Size + 1
	privateDir             fs.FileMode = 0o700
)

// cache is a folder of things that can be made again. Every file in it is sealed with a checksum,
// appears by a rename, and is never changed after that, so that any number of processes can use a
// cache at once. The folder is opened once; its things are found from there, and not by their whole paths.
// The zero value is a cache that forgets everything.
type cache struct {
	folder *safefile.Folder
	say    logFunc
}

// openCache returns the cache in the folder dir, or the default one if dir is empty. If the folder cannot be
// used, it returns a cache that keeps nothing, and an error that says why.
func openCache(dir string, say logFunc) (cache, error) {
	folder, err := openCacheFolder(dir, say)
	if err != nil {
		return cache{say: say}, fmt.Errorf("building without a cache: %w", err)
	}
	return cache{folder: folder, say: say}, nil
}

func openCacheFolder(dir string, say logFunc) (folder *safefile.Folder, err error) {
	if dir == "" {
		folder, err = openDefault(systemFolder, say)
	} else {
		folder, err = safefile.PrivateFolder(dir)
	}
	if err != nil {
		return nil, err
	}
	for _, kind := range []string{objectKind, clangKind, headerKind, workKind} {
		sub, err := safefile.PrivateFolder(filepath.Join(folder.Path, kind))
		if err != nil {
			folder.Close()
			return nil, err
		}
		sub.Close()
	}
	return folder, nil
}

func (c cache) close() {
	if c.folder != nil {
		c.folder.Close()
	}
}

// namesFolders reports whether the compiler can be given paths of folders in the cache.
func (c cache) namesFolders() bool { return c.folder != nil && !isOdd(c.folder.Path) }

// load returns the data that was saved under the key, if it is there and intact.
func (c cache) load(kind, key string) ([]byte, bool) {
	if c.folder == nil {
		return nil, false
	}
	name := filepath.Join(kind, key)
	sealed, err := c.folder.ReadFile(name, "a file of the cache", maxEntry)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.say("cache: %v", err)
		}
		return nil, false
	}
	data, err := unseal(sealed)
	if err != nil {
		c.say("cache: %s: %v", filepath.Join(c.folder.Path, name), err)
		return nil, false
	}
	touch(c.folder, name)
	return data, true
}

// save remembers data under the key. A failure only goes to the log, because a build does not need the cache.
func (c cache) save(kind, key string, data []byte, keep int) {
	if c.folder == nil {
		return
	}
	if err := c.folder.WriteFile(filepath.Join(kind, key), tempPrefix, seal(data)); err != nil {
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

// touch notes that a thing was used, for prune.
func touch(folder *safefile.Folder, name string) {
	now := time.Now()
	if st, err := folder.Stat(name); err == nil && now.Sub(st.ModTime()) > touchAfter {
		_ = folder.Chtimes(name, now, now) // it is then removed too early, at worst
	}
}

// prune keeps the given number of files of a kind, those that were used last, and removes the others
// and the files of crashed processes.
func (c cache) prune(kind string, keep int) {
	entries, err := fs.ReadDir(c.folder.FS(), kind)
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
				c.remove(kind, e.Name())
			}
			continue
		}
		used[e.Name()] = info.ModTime()
		names = append(names, e.Name())
	}
	sort.Slice(names, func(i, j int) bool { return used[names[i]].After(used[names[j]]) })
	for i := keep; i < len(names); i++ {
		c.remove(kind, names[i])
	}
}

func (c cache) remove(kind, name string) {
	if err := c.folder.RemoveAll(filepath.Join(kind, name)); err != nil {
		c.say("cache: %v", err)
	}
}
