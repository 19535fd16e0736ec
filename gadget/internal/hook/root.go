// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/targets"
)

// Root is a directory that processes have for their root: "/", or a container's, /proc/PID/root. It finds the files that
// programs for user space name, each once, and keeps them open.
type Root struct {
	finder targets.Finder
	found  map[string]foundFiles // by name
}

type foundFiles struct {
	files []*targets.File
	err   error
}

// NewRoot returns a root, which the caller closes. One goroutine uses it.
func NewRoot(dir string) *Root {
	path := []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
	if dir == "/" {
		path = filepath.SplitList(os.Getenv("PATH"))
	}
	return &Root{
		finder: targets.Finder{Root: dir, Path: path, Arch: runtime.GOARCH},
		found:  make(map[string]foundFiles),
	}
}

// Close closes the files. Probes in them stay.
func (r *Root) Close() {
	for _, found := range r.found {
		for _, f := range found.files {
			_ = f.Close() // it was open for reading
		}
	}
	r.found = nil
}

func (r *Root) find(name string) ([]*targets.File, error) {
	found, ok := r.found[name]
	if !ok {
		found.files, found.err = r.finder.Find(name)
		if errors.Is(found.err, fs.ErrNotExist) {
			found.err = &MissingFileError{found.err}
		}
		r.found[name] = found
	}
	return found.files, found.err
}

// InFile reports whether the program is attached to a file, so that each root can have its own.
func InFile(p *image.Program) bool { return of(p).probe != nil }

// AttachIn hangs the program on its target as processes with this root see it, until the result is closed. It attaches the program to
// a file once, however many roots have it. Several goroutines may call it at once, also for one program.
func AttachIn(l *Loaded, p *image.Program, prog *ebpf.Program, root *Root) (io.Closer, error) {
	u, err := of(p).probe(l, p)
	if err != nil {
		return nil, err
	}
	u.name, u.prog, u.loaded = p.Name, prog, l
	return u.attach(root)
}

// attachOnHost is the function attach of hooks with probes in files.
func attachOnHost(l *Loaded, p *image.Program, prog *ebpf.Program) (io.Closer, error) {
	root := NewRoot("/")
	defer root.Close()
	return AttachIn(l, p, prog, root)
}
