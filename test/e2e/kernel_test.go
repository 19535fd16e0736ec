// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// object is something of BPF that lives in the kernel.
type object struct {
	kind string // as in fdinfo: "prog", "map", "link"
	id   uint32
	prog uint32 // of a link, the id of its program
}

// objectsOf returns the BPF objects that a process has open.
func objectsOf(pid int) []object {
	infos, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	var held []object
	for _, info := range infos {
		text, err := os.ReadFile(info)
		if err != nil {
			continue // closed meanwhile
		}
		if o, ok := parseObject(string(text)); ok {
			held = append(held, o)
		}
	}
	return held
}

// parseObject reads the fdinfo of a file descriptor. A link's names its program, too.
func parseObject(fdinfo string) (object, bool) {
	prog, _ := fdinfoID(fdinfo, "prog")
	for _, kind := range []string{"link", "map", "prog"} {
		if id, ok := fdinfoID(fdinfo, kind); ok {
			return object{kind, id, prog}, true
		}
	}
	return object{}, false
}

func fdinfoID(fdinfo, kind string) (uint32, bool) {
	_, rest, ok := strings.Cut(fdinfo, "\n"+kind+"_id:\t")
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseUint(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), 10, 32)
	return uint32(id), err == nil
}

// exists asks the kernel whether the object is still there.
func (o object) exists() bool {
	var err error
	switch o.kind {
	case "prog":
		p, e := ebpf.NewProgramFromID(ebpf.ProgramID(o.id))
		p.Close()
		err = e
	case "map":
		m, e := ebpf.NewMapFromID(ebpf.MapID(o.id))
		m.Close()
		err = e
	case "link":
		l, e := link.NewFromID(link.ID(o.id))
		if e == nil {
			l.Close()
		}
		err = e
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// waitAttached waits until all programs of a gadget are attached. A test event would show that, too,
// but each kind of gadget would need a different one. It returns all objects that gizmo holds.
func (p *process) waitAttached(t testing.TB) []object {
	t.Helper()
	var held []object
	eventually(t, "attached", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("gizmo has ended: %v\n%s", p.cmd.ProcessState, p.err.String())
		default:
		}
		held = objectsOf(p.cmd.Process.Pid)
		return allAttached(held)
	})
	return held
}

// allAttached reports whether there are programs, and each of them has its links.
func allAttached(held []object) bool {
	links := make(map[uint32]int)
	for _, o := range held {
		if o.kind == "link" {
			links[o.prog]++
		}
	}
	for _, o := range held {
		if o.kind == "prog" && links[o.id] < linksNeeded(o) {
			return false
		}
	}
	return len(links) > 0
}

// idleSize is the size in bytes of programs that may do nothing, because a param rules it out, and
// that are not attached then.
const idleSize = 128

// linksNeeded returns how many links an attached program has at least.
func linksNeeded(prog object) int {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(prog.id))
	if err != nil {
		return 0 // gone: the next call shows more
	}
	defer p.Close()
	switch p.Type() {
	case ebpf.PerfEvent: // counts on each processor
		return runtime.NumCPU()
	case ebpf.SocketFilter, ebpf.SchedCLS, ebpf.SkSKB, ebpf.SkMsg: // attached without a link by older kernels
		return 0
	}
	info, err := p.Info()
	if err != nil {
		return 0
	}
	if size, err := info.TranslatedSize(); err == nil && size <= idleSize {
		return 0
	}
	return 1
}

// wantGone checks that the kernel has got rid of the objects, which it does in its own time.
func wantGone(t testing.TB, objects []object) {
	t.Helper()
	if len(objects) == 0 {
		t.Fatal("there were no objects to look for")
	}
	for _, o := range objects {
		for deadline := time.Now().Add(patience); o.exists(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("%s %d is still in the kernel", o.kind, o.id)
				break
			}
		}
	}
}

// kernelName returns the part of a program's name that the kernel keeps. The library knows more if the kernel
// also has the program's types.
func kernelName(name string) string { return name[:min(len(name), unix.BPF_OBJ_NAME_LEN-1)] }

// programNames returns the names of those of the objects that are programs, as the kernel has them.
func programNames(objects []object) []string {
	var names []string
	for _, o := range objects {
		if o.kind != "prog" {
			continue
		}
		if p, err := ebpf.NewProgramFromID(ebpf.ProgramID(o.id)); err == nil {
			if info, err := p.Info(); err == nil {
				names = append(names, kernelName(info.Name))
			}
			p.Close()
		}
	}
	return names
}

// programsNamed returns the ids of the kernel's programs with one of the names.
func programsNamed(t testing.TB, names ...string) map[uint32]string {
	t.Helper()
	found := make(map[uint32]string)
	for id := ebpf.ProgramID(0); ; {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, fs.ErrNotExist) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		id = next
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // unloaded meanwhile
		}
		if info, err := p.Info(); err == nil {
			for _, name := range names {
				if kernelName(name) == kernelName(info.Name) {
					found[uint32(id)] = info.Name
				}
			}
		}
		p.Close()
	}
}

// pins lists what is pinned.
func pins(t testing.TB) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir("/sys/fs/bpf", func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

// leftovers are the remains of a run that no descriptor holds: pinned objects, and probes
// that were made by name.
type leftovers []string

func findLeftovers(t testing.TB) leftovers {
	t.Helper()
	all := leftovers(pins(t))
	for _, path := range []string{kprobeFile, uprobeFile} {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			all = append(all, line)
		}
	}
	return all
}

// wantSame checks that nothing has been added. It waits, because other processes may add something for a moment.
func (l leftovers) wantSame(t testing.TB) {
	t.Helper()
	eventually(t, "all that was pinned or probed has gone", func() bool {
		for _, o := range findLeftovers(t) {
			if !slices.Contains(l, o) {
				return false
			}
		}
		return true
	})
}
