// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/symbols"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/targets"
	"github.com/gizmo-ebpf/gizmo/internal/elffile"
)

// userSite is one instruction to probe.
type userSite struct {
	offset    uint64 // in the file
	semaphore uint64 // in the file; 0: none
	cookie    uint64 // passed to the program
}

// userSites are the sites of a probe in a file.
type userSites struct {
	all []userSite
	// release forgets what the programs know about the sites, once they are detached from them; nil: nothing.
	release func() error
}

// siteLinks are the links to sites, which they release at the end.
type siteLinks struct {
	links closers
	sites *userSites
}

func (l *siteLinks) Close() error {
	err := l.links.Close()
	if l.sites.release != nil {
		err = errors.Join(err, l.sites.release())
	}
	return err
}

// userProbe is a program for user space.
type userProbe struct {
	loaded *Loaded
	name   string // of the program
	prog   *ebpf.Program
	// file is where the probe is: a path or a short name; target is the rest of the program's target.
	file, target string
	atReturn     bool
	// find returns the sites of the probe in a file.
	find func(f *elffile.File) (*userSites, error)
}

// attach attaches the program in all files that the name means in a root. It skips versions of a library without the
// probe, if at least one version has it.
func (u *userProbe) attach(root *Root) (io.Closer, error) {
	files, err := root.find(u.file)
	if err != nil {
		return nil, err
	}
	var links closers
	var without []error // why not, file by file
	for _, file := range files {
		l, err := u.loaded.files.attach(place{u.name, u.target, file.ID}, func() (closers, error) {
			sites, err := u.sitesIn(file)
			if err != nil {
				return nil, &withoutProbe{err}
			}
			links, err := u.attachTo(file.AttachPath(), sites.all)
			return closers{&siteLinks{links, sites}}, err
		})
		var lacks *withoutProbe
		switch {
		case errors.As(err, &lacks):
			without = append(without, fmt.Errorf("%s: %w", file.Path, lacks.cause))
		case err != nil:
			return nil, errors.Join(fmt.Errorf("%s: %w", file.Path, explainUprobe(err)), links.Close())
		default:
			links = append(links, l)
		}
	}
	if len(links) == 0 {
		err := joinLine(without)
		if errors.Is(err, symbols.ErrNotFound) {
			err = &MissingFileError{err}
		}
		return nil, err
	}
	return links, nil
}

// withoutProbe says that a file does not have the probe, or cannot be read.
type withoutProbe struct{ cause error }

func (e *withoutProbe) Error() string { return e.cause.Error() }

// joinLine is errors.Join on one line.
func joinLine(errs []error) error {
	var err error
	for _, e := range errs {
		if err == nil {
			err = e
		} else {
			err = fmt.Errorf("%w; %w", err, e)
		}
	}
	return err
}

func (u *userProbe) sitesIn(file *targets.File) (*userSites, error) {
	f, err := elffile.New(file, file.Size)
	if err != nil {
		return nil, err
	}
	if !runsHere(f.Machine) {
		return nil, fmt.Errorf("it is made for another machine (%s)", f.Machine)
	}
	return u.find(f)
}

// runsHere reports whether this kernel runs programs for a machine.
func runsHere(m elf.Machine) bool {
	switch runtime.GOARCH {
	case "amd64":
		return m == elf.EM_X86_64 || m == elf.EM_386
	case "arm64":
		return m == elf.EM_AARCH64
	}
	return true
}

// attachTo attaches the program to sites in one file. If it returns an error, the closers that it returns are attached nevertheless.
func (u *userProbe) attachTo(path string, sites []userSite) (closers, error) {
	file, err := link.OpenExecutable(path)
	if err != nil {
		return nil, err
	}
	if u.loaded.UprobeMulti {
		l, err := u.attachMulti(file, sites)
		if err != nil {
			return nil, err
		}
		return closers{l}, nil
	}
	var links closers
	for _, s := range sites {
		if s.semaphore > math.MaxUint32 {
			return links, fmt.Errorf("its semaphore is %d bytes after the start of the file; this kernel's limit is 4 GiB", s.semaphore)
		}
		attach := file.Uprobe
		if u.atReturn {
			attach = file.Uretprobe
		}
		l, err := attach("", u.prog, &link.UprobeOptions{Address: s.offset, RefCtrOffset: s.semaphore, Cookie: s.cookie})
		if err != nil {
			return links, err
		}
		links = append(links, l)
	}
	return links, nil
}

// attachMulti puts the program on all sites at once.
func (u *userProbe) attachMulti(file *link.Executable, sites []userSite) (io.Closer, error) {
	var o link.UprobeMultiOptions
	for _, s := range sites {
		o.Addresses = append(o.Addresses, s.offset)
		o.RefCtrOffsets = append(o.RefCtrOffsets, s.semaphore)
		o.Cookies = append(o.Cookies, s.cookie)
	}
	if u.atReturn {
		return file.UretprobeMulti(nil, u.prog, &o)
	}
	return file.UprobeMulti(nil, u.prog, &o)
}

// explainUprobe puts the kernel's reasons into words, where it gives a number.
func explainUprobe(err error) error {
	const notSupported = unix.Errno(524) // the kernel's own ENOTSUPP
	switch {
	case errors.Is(err, notSupported):
		return fmt.Errorf("the kernel cannot probe this instruction (a breakpoint of a debugger, or one that it cannot step over): %w", err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("the kernel refuses a probe at this place (the file has become shorter, or another tracer has a probe with another semaphore there): %w", err)
	case errors.Is(err, unix.EIO):
		return fmt.Errorf("the file system that it is on cannot have probes: %w", err)
	}
	return err
}

// closers ends several things at once: removing a probe is mostly waiting.
type closers []io.Closer

// Close closes all, at the same time.
func (c closers) Close() error {
	errs := make([]error, len(c))
	var wg sync.WaitGroup
	for i := range c {
		wg.Go(func() { errs[i] = c[i].Close() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
