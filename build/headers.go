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
	"strings"

	"github.com/gizmo-ebpf/gizmo/include"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// headers are <gadget/…> and <vmlinux.h>, for one architecture, and additions to the system's <bpf/…>.
type headers struct {
	// id identifies the headers: those that come with the program by their contents.
	id string
	// dir is the folder that holds them, empty if they have to be unpacked first.
	dir string
	// files are the headers that have to be unpacked, under their paths from the folder.
	files map[string][]byte
}

// findHeaders returns the headers in the folder dir, or the embedded ones if dir is empty.
func findHeaders(dir string, a arch) (*headers, error) {
	if dir == "" {
		return embedded(include.FS, a)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := hasTypes(os.DirFS(dir), a); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return &headers{id: "folder " + dir, dir: dir}, nil
}

// embedded reads the headers for the architecture from fsys.
func embedded(fsys fs.FS, a arch) (*headers, error) {
	if err := hasTypes(fsys, a); err != nil {
		return nil, err
	}
	h := &headers{files: make(map[string][]byte)}
	sum := sha256.New()
	err := fs.WalkDir(fsys, ".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && filepath.Dir(path) == "vmlinux" && e.Name() != a.name:
			return fs.SkipDir
		case e.IsDir() || !strings.HasSuffix(path, ".h"):
			return nil
		}
		data, err := fs.ReadFile(fsys, path)
		fmt.Fprintf(sum, "%s %d\n", path, len(data))
		sum.Write(data)
		h.files[path] = data
		return err
	})
	h.id = hex.EncodeToString(sum.Sum(nil))
	return h, err
}

func vmlinux(a arch) string { return "vmlinux/" + a.name }

// searched returns the folders that the compiler looks for headers in, if these are in dir: ahead of
// the system's, which those in compat build on.
func searched(dir string, a arch) []string {
	return []string{dir, filepath.Join(dir, "compat"), filepath.Join(dir, vmlinux(a))}
}

// hasTypes fails with the list of architectures there are if the given one is not among them.
func hasTypes(fsys fs.FS, a arch) error {
	_, err := fs.Stat(fsys, vmlinux(a)+"/vmlinux.h")
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var have []string
	for _, other := range arches {
		if _, err := fs.Stat(fsys, vmlinux(other)+"/vmlinux.h"); err == nil {
			have = append(have, other.name)
		}
	}
	if len(have) == 0 {
		return errors.New("there is no vmlinux.h among the headers")
	}
	return fmt.Errorf("there is no vmlinux.h for %s among the headers, only for %s", a.name, strings.Join(have, ", "))
}

// unpack sees to it that the headers are in a folder, which it returns: in the cache if possible,
// else in the build's own folder.
func (h *headers) unpack(c cache, w *work) (string, error) {
	if h.dir != "" {
		return h.dir, nil
	}
	if c.namesFolders() {
		dir, err := h.unpackTo(c.folder, filepath.Join(headerKind, h.id))
		if err == nil {
			c.prune(headerKind, maxHeaders)
			return dir, nil
		}
		c.say("cache: %v", err)
	}
	return h.unpackTo(w.Folder, "include")
}

// unpackTo writes the headers to a subfolder unless they are already there, byte for byte, and returns its
// path.
func (h *headers) unpackTo(f *safefile.Folder, name string) (string, error) {
	if !h.sameAs(f, name) {
		if err := h.write(f, name); err != nil {
			return "", err
		}
	}
	touch(f, name)
	// The compiler uses the path, so other users must not be able to change what is there.
	sub, err := safefile.PrivateFolder(filepath.Join(f.Path, name))
	if err != nil {
		return "", err
	}
	return sub.Path, sub.Close()
}

// write lets the subfolder appear with all headers in it.
func (h *headers) write(f *safefile.Folder, name string) error {
	temp := filepath.Join(filepath.Dir(name), safefile.RandomName(tempPrefix))
	defer f.RemoveAll(temp)
	fresh := filepath.Join(temp, "fresh")
	for path, data := range h.files {
		file := filepath.Join(fresh, path)
		if err := f.MkdirAll(filepath.Dir(file), privateDir); err != nil {
			return err
		}
		if err := f.Root.WriteFile(file, data, 0o600); err != nil {
			return err
		}
	}
	if err := f.Rename(fresh, name); err == nil || h.sameAs(f, name) {
		return nil // or another process was quicker
	}
	// The existing folder is damaged. A folder cannot be replaced in one step.
	if err := f.Rename(name, filepath.Join(temp, "damaged")); err != nil {
		return err
	}
	return f.Rename(fresh, name)
}

func (h *headers) sameAs(f *safefile.Folder, name string) bool {
	for path, data := range h.files {
		there, err := f.ReadFile(filepath.Join(name, path), "this header", int64(len(data)))
		if err != nil || !bytes.Equal(there, data) {
			return false
		}
	}
	return true
}
