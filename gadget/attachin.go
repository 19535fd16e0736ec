// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/netns"
)

// Places says where the programs of a gadget get attached that each container can have its own of: those that are attached to files (uprobe,
// uretprobe, usdt), and those for the packets of a network namespace (socket, classifier).
type Places uint8

const (
	// OnHost: Attach attaches them to the files of this process's root and in this process's network namespace.
	OnHost Places = iota
	// InContainersToo: Attach attaches them, too, but it is no error if none of their files exists there, because the caller uses AttachIn
	// and AttachInNetwork for other roots and namespaces.
	InContainersToo
	// InContainersOnly: Attach leaves them to AttachIn and AttachInNetwork.
	InContainersOnly
)

// HasFileProbes reports whether the gadget has programs that AttachIn attaches.
func (g *Gadget) HasFileProbes() bool { return len(g.inFiles()) > 0 }

// HasPackets reports whether the gadget has programs that AttachInNetwork attaches.
func (g *Gadget) HasPackets() bool { return len(g.inNetworks()) > 0 }

// FollowsInterfaces reports whether the gadget has programs that are attached to network interfaces when these come.
func (g *Gadget) FollowsInterfaces() bool {
	return slices.ContainsFunc(g.inNetworks(), hook.IsClassifier)
}

// DetachChangesInterfaces reports whether detaching the gadget has to remove filters from network interfaces. That is so for classifier programs
// where the kernel has no links for them (before Linux 6.6). It takes CAP_NET_ADMIN. Without it the filters stay and do nothing.
func (g *Gadget) DetachChangesInterfaces() bool {
	return !g.loaded.TCLinks && slices.ContainsFunc(g.programs, hook.IsClassifier)
}

// SeesPackets reports whether a gadget that is loaded with these options has programs for the packets of network namespaces, which AttachInNetwork
// attaches. The options may be nil.
func SeesPackets(img *image.Image, o *LoadOptions) bool {
	return slices.ContainsFunc(img.Programs, func(p image.Program) bool {
		return !p.Disabled && hook.InNetwork(&p) && !(hook.TakesInterface(&p) && o != nil && o.Interface != "")
	})
}

// HasProbeLinks reports whether this kernel attaches programs to files without perf events, which take more privileges (since Linux 6.6).
func HasProbeLinks() bool { return kernel.HasUprobeMulti() }

// findAttachable returns the programs of a kind that do something and that AttachIn or AttachInNetwork attaches.
func (g *Gadget) findAttachable(is func(*image.Program) bool) []*image.Program {
	var programs []*image.Program
	for _, p := range g.programs {
		if is(g.onInterface(p)) && !slices.Contains(g.manual, p.Name) && !hook.IsIdle(p, g.coll.Programs[p.Name]) {
			programs = append(programs, p)
		}
	}
	return programs
}

// findInNetworks returns those for packets. Attaching to an interface may take the kernel 15 ms, and to a namespace less than 1 ms, so the latter
// come first.
func (g *Gadget) findInNetworks() []*image.Program {
	programs := g.findAttachable(hook.InNetwork)
	slices.SortStableFunc(programs, func(a, b *image.Program) int {
		return cmp.Compare(a.Kind(), b.Kind()) * -1 // socket, classifier
	})
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
	files := hook.NewRoot(root)
	defer files.Close()
	return g.attachAll(root, g.inFiles(), func(p *image.Program) (io.Closer, error) {
		link, err := hook.AttachIn(g.loaded, p, g.coll.Programs[p.Name], files)
		var missing *hook.MissingFileError
		if errors.As(err, &missing) {
			g.log.Debug("program not attached", "program", p.Name, "root", root, "reason", err)
			err = nil
		}
		return link, err
	})
}

// AttachInNetwork attaches the programs for packets (socket, classifier), except those of LoadOptions.ManualAttach and those with an interface
// or a namespace of their own, in the network namespace of a path: /proc/PID/ns/net. Programs in sections socket see the packets of all
// interfaces of the namespace. Programs in sections classifier are attached to the other ends of its veth and netkit interfaces that
// are in the network namespace that the gadget was loaded in; for that namespace itself, to all its interfaces that are up. A namespace for which
// AttachInNetwork is called more than once gets each program once.
//
// If the namespace does not exist anymore, AttachInNetwork logs that at level debug. After other errors it goes on with the next program, and
// returns all of them, each once. The result, which is nil only after Detach, ends what AttachInNetwork has attached; so does Detach.
//
// It is safe for use by several goroutines, also while the gadget runs.
func (g *Gadget) AttachInNetwork(path string) (io.Closer, error) {
	ns, err := netns.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		g.log.Debug("a network namespace has gone before programs were attached there", "path", path, "reason", err)
		return g.attachAll(path, nil, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("attach in a network namespace: %w", err)
	}
	defer ns.Close()
	return g.attachAll(path, g.inNetworks(), func(p *image.Program) (io.Closer, error) {
		link, err := hook.AttachInNetwork(g.loaded, p, g.coll.Programs[p.Name], ns)
		if err != nil {
			err = fmt.Errorf("program %s: %w", p.Name, err)
		}
		return link, err
	})
}

// attachAll attaches programs at a place that has its own of them. attach returns nil for a program that does not find its target there.
func (g *Gadget) attachAll(place string, programs []*image.Program, attach func(*image.Program) (io.Closer, error)) (io.Closer, error) {
	a := &inPlace{gadget: g}
	g.mu.Lock()
	if g.attached == nil {
		g.mu.Unlock()
		return nil, fmt.Errorf("attach in %s: %w", place, ErrDetached)
	}
	g.places[a] = true
	g.mu.Unlock()
	var errs []error
	for _, p := range programs {
		link, err := attach(p)
		switch {
		case err != nil:
			if !slices.ContainsFunc(errs, func(e error) bool { return e.Error() == err.Error() }) {
				errs = append(errs, err) // not explained: that takes some 20 MiB, and a container can cause errors at will
			}
		case link == nil:
		case !a.add(link):
			return nil, errors.Join(fmt.Errorf("attach in %s: %w", place, ErrDetached), link.Close())
		}
	}
	return a, errors.Join(errs...)
}

// inPlace is what AttachIn or AttachInNetwork has attached.
type inPlace struct {
	gadget *Gadget

	mu     sync.Mutex
	links  []io.Closer
	closed bool
	ending sync.WaitGroup // links that are being closed
}

// add reports whether the link belongs to a from now on. It does not if a is closed.
func (a *inPlace) add(link io.Closer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.links = append(a.links, link)
	}
	return !a.closed
}

// Close detaches the programs from files and namespaces that nothing else needs, and returns when they are detached.
func (a *inPlace) Close() error {
	err := a.end()
	a.gadget.mu.Lock()
	defer a.gadget.mu.Unlock()
	delete(a.gadget.places, a)
	return err
}

func (a *inPlace) end() error {
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
