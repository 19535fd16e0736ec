// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
)

// FileProbes says where the programs of a gadget that are attached to files (uprobe, uretprobe, usdt) get attached.
type FileProbes uint8

const (
	// OnHost: Attach attaches them to the files of this process's root.
	OnHost FileProbes = iota
	// InRootsToo: Attach attaches them, too, but it is no error if none of their files exists there, because the caller uses AttachIn
	// for other roots.
	InRootsToo
	// InRootsOnly: Attach leaves them to AttachIn.
	InRootsOnly
)

// HasFileProbes reports whether the gadget has programs that AttachIn attaches.
func (g *Gadget) HasFileProbes() bool { return len(g.inFiles()) > 0 }

// HasProbeLinks reports whether this kernel attaches programs to files without perf events, which take more privileges (since Linux 6.6).
func HasProbeLinks() bool { return kernel.HasUprobeMulti() }

// findInFiles returns the programs that are attached to files and do something.
func (g *Gadget) findInFiles() []*image.Program {
	var programs []*image.Program
	for _, p := range g.programs {
		if hook.InFile(p) && !slices.Contains(g.manual, p.Name) && !hook.IsIdle(p, g.coll.Programs[p.Name]) {
			programs = append(programs, p)
		}
	}
	return programs
}

// AttachIn attaches the programs that are attached to files (uprobe, uretprobe, usdt), except those of LoadOptions.ManualAttach, to the
// files that processes with this root find at their targets. The root is a folder: that of a container is /proc/PID/root. Symbolic
// links never lead out of it. A file that several roots have, or the host, too, gets each program once.
//
// AttachIn logs files and functions that do not exist at level debug. After other errors it goes on with the next program, and
// returns all of them, each once. The result, which is nil only after Detach, ends what AttachIn has attached; so does Detach.
//
// It is safe for use by several goroutines, also while the gadget runs. Calls for different roots do not wait for each other, because the
// file system of a container may answer late or never.
func (g *Gadget) AttachIn(root string) (io.Closer, error) {
	a := &inRoot{gadget: g}
	g.mu.Lock()
	if g.attached == nil {
		g.mu.Unlock()
		return nil, fmt.Errorf("attach in %s: %w", root, ErrDetached)
	}
	g.roots[a] = true
	g.mu.Unlock()
	files := hook.NewRoot(root)
	defer files.Close()
	var errs []error
	for _, p := range g.inFiles() {
		link, err := hook.AttachIn(g.loaded, p, g.coll.Programs[p.Name], files)
		var missing *hook.MissingFileError
		switch {
		case errors.As(err, &missing):
			g.log.Debug("program not attached", "program", p.Name, "root", root, "reason", err)
		case err != nil:
			if !slices.ContainsFunc(errs, func(e error) bool { return e.Error() == err.Error() }) {
				errs = append(errs, err) // not explained: that takes some 20 MiB, and a container can cause errors at will
			}
		case !a.add(link):
			return nil, errors.Join(fmt.Errorf("attach in %s: %w", root, ErrDetached), link.Close())
		}
	}
	return a, errors.Join(errs...)
}

// inRoot is what AttachIn has attached.
type inRoot struct {
	gadget *Gadget

	mu     sync.Mutex
	links  []io.Closer
	closed bool
	ending sync.WaitGroup // links that are being closed
}

// add reports whether the link belongs to a from now on. It does not if a is closed.
func (a *inRoot) add(link io.Closer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.links = append(a.links, link)
	}
	return !a.closed
}

// Close detaches the programs from files that no other root has, and returns when they are detached.
func (a *inRoot) Close() error {
	err := a.end()
	a.gadget.mu.Lock()
	defer a.gadget.mu.Unlock()
	delete(a.gadget.roots, a)
	return err
}

func (a *inRoot) end() error {
	a.mu.Lock()
	links := a.links
	a.links, a.closed = nil, true
	errs := make([]error, len(links))
	for i := range links { // at once: the kernel waits for a grace period for each
		a.ending.Go(func() { errs[i] = links[i].Close() })
	}
	a.mu.Unlock()
	a.ending.Wait()
	return errors.Join(errs...)
}
