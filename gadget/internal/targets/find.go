// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package targets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/ldcache"
)

// Finder finds files for the programs that run below a root directory, as those programs would.
type Finder struct {
	// Root is the directory that the programs have for their root: "/", or a container's, such as
	// /proc/PID/root.
	Root string
	// Path are the folders in which programs are looked for.
	Path []string
	// Arch is the architecture, as Go calls it, of the libraries that are found by their short name.
	Arch string
}

// File is a file to probe. It is open, and stays the same file if another one replaces it at its path. The
// caller closes it.
type File struct {
	*os.File
	// Path is where it was found, below the root.
	Path string
	ID   ID
	Size int64
}

// AttachPath is a path that leads to this very file while it is open.
func (f *File) AttachPath() string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// libraryDirs are the folders of libraries where there is no cache; %s is the name of the
// architecture in paths. Without the cache no program finds libraries elsewhere.
var libraryDirs = [...]string{
	"/lib/%s-linux-gnu", "/usr/lib/%s-linux-gnu", "/lib/%s-linux-musl", "/usr/lib/%s-linux-musl",
	"/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib", "/usr/local/lib64",
}

const (
	cachePath = "/etc/ld.so.cache"
	maxFiles  = 64      // for one name
	maxDir    = 1 << 16 // entries that are read of one folder
)

// Find opens the files that name means: one for a path, all versions of a library for its short
// name, because programs may use any of them. No file is in the result twice.
func (f *Finder) Find(name string) ([]*File, error) {
	r, err := openRoot(f.Root)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if strings.HasPrefix(name, "/") {
		file, err := r.open(name)
		if err != nil {
			return nil, explainOpen(name, err)
		}
		return []*File{file}, nil
	}
	paths, err := f.libraries(r, name)
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		for _, dir := range f.Path {
			paths = append(paths, path.Join("/", dir, name))
		}
		return openFirst(r, name, paths)
	}
	return openAll(r, name, paths)
}

// libraries returns the paths at which there may be a library of that name.
func (f *Finder) libraries(r *root, name string) ([]string, error) {
	fits := func(soname string) bool { return isLibrary(name, soname) }
	arch, in, ok := archOf(f.Arch)
	if !ok {
		return nil, fmt.Errorf("libraries of the architecture %q cannot be found by name: use their paths", f.Arch)
	}
	data, err := r.readFile(cachePath, ldcache.MaxSize)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("%s: %w", cachePath, err)
	default:
		paths, err := ldcache.Find(data, arch, fits)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cachePath, err)
		}
		if len(paths) > 0 {
			return paths, nil
		}
	}
	var paths []string
	for _, dir := range libraryDirs {
		dir = strings.ReplaceAll(dir, "%s", in)
		for _, entry := range r.list(dir, maxDir) {
			if fits(entry) && len(paths) < maxFiles {
				paths = append(paths, path.Join(dir, entry))
			}
		}
	}
	return paths, nil
}

func archOf(name string) (arch ldcache.Arch, inPaths string, ok bool) {
	switch name {
	case "amd64":
		return ldcache.AMD64, "x86_64", true
	case "arm64":
		return ldcache.ARM64, "aarch64", true
	}
	return 0, "", false
}

// isLibrary reports whether the short name means the file of a library: "libssl" means
// libssl.so, libssl.so.3 and libssl.so.1.1, "libssl.so.1" only the last. The C library of musl is
// called libc.musl-x86_64.so.1.
func isLibrary(short, file string) bool {
	if short == "" {
		return false
	}
	rest, ok := strings.CutPrefix(file, short)
	switch {
	case !ok:
		return false
	case strings.HasSuffix(short, ".so") || strings.Contains(short, ".so."):
		return rest == "" || rest[0] == '.'
	}
	if musl, ok := strings.CutPrefix(rest, ".musl-"); ok {
		_, rest, ok = strings.Cut(musl, ".so")
		return ok && (rest == "" || rest[0] == '.')
	}
	rest, ok = strings.CutPrefix(rest, ".so")
	return ok && (rest == "" || rest[0] == '.')
}

// openFirst opens the first program that there is.
func openFirst(r *root, name string, paths []string) ([]*File, error) {
	for _, p := range paths {
		if file, err := r.open(p); err == nil {
			return []*File{file}, nil
		}
	}
	return nil, fmt.Errorf("no library and no program is called %s: give its path, which begins with a slash: %w", name, fs.ErrNotExist)
}

// openAll opens all files that there are, each once.
func openAll(r *root, name string, paths []string) ([]*File, error) {
	var files []*File
	seen := make(map[ID]bool)
	var errs []error
	for _, p := range paths {
		file, err := r.open(p)
		switch {
		case err != nil:
			errs = append(errs, explainOpen(p, err))
		case seen[file.ID]:
			_ = file.Close()
		default:
			seen[file.ID] = true
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("library %s: %w", name, errors.Join(errs...))
	}
	return files, nil
}

func explainOpen(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file %s: %w", name, fs.ErrNotExist)
	case errors.Is(err, errNotRegular), errors.Is(err, io.EOF):
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("cannot read %s: %w", name, err)
}
