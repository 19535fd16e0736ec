// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// waitAttached waits until all programs of a gadget are attached. A test event would show that, too,
// but each kind of gadget would need a different one. It returns all objects that gizmo holds.
func (p *process) waitAttached(t testing.TB) []kerneltest.Object {
	t.Helper()
	var held []kerneltest.Object
	var since time.Time // when it looked attached; zero: it does not
	eventually(t, "attached", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("gizmo has ended: %v\n%s", p.cmd.ProcessState, p.err.String())
		default:
		}
		held = kerneltest.ObjectsOf(p.cmd.Process.Pid)
		if args := p.cmd.Args; len(args) > 2 && args[1] == "run" && !hasProgram(args[2]) {
			return p.isFiltered(t)
		}
		if !allAttached(held) || !allListening(t, p.cmd.Process.Pid, held) || !allClassifying(t, held) || !p.allSampling(t, held) {
			since = time.Time{}
			return false
		}
		since = cmp.Or(since, time.Now())
		// While it loads, gizmo holds programs and links for a moment with which it finds out what the kernel can do.
		return p.isFiltered(t) || time.Since(since) > withoutFilter
	})
	return held
}

// withoutFilter is how long a run must look attached that keeps all its system calls.
const withoutFilter = time.Second

// allAttached reports whether there are programs, and each of them has its links.
func allAttached(held []kerneltest.Object) bool {
	links := make(map[uint32]int)
	for _, o := range held {
		if o.Kind == "link" {
			links[o.Prog]++
		}
	}
	for _, o := range held {
		if o.Kind == "prog" && links[o.ID] < linksNeeded(o) {
			return false
		}
	}
	return len(links) > 0 || slices.ContainsFunc(held, isSocketFilter) || slices.ContainsFunc(held, isSampler)
}

// idleSize is the size in bytes of programs that may do nothing, because a param rules it out, and
// that are not attached then.
const idleSize = 128

// linksNeeded returns how many links an attached program has at least.
func linksNeeded(prog kerneltest.Object) int {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(prog.ID))
	if err != nil {
		return 0 // gone: the next call shows more
	}
	defer p.Close()
	switch p.Type() {
	case ebpf.PerfEvent, // attached to perf events, without a link
		ebpf.SocketFilter, ebpf.SchedCLS, ebpf.SkSKB, ebpf.SkMsg: // attached without a link by older kernels
		return 0
	}
	info, err := p.Info()
	if err != nil {
		return 0
	}
	if size, err := info.TranslatedSize(); err == nil && size <= idleSize || info.Name == iteratorOfSockets {
		return 0
	}
	return 1
}

// iteratorOfSockets is the program with which gizmo finds the sockets that exist at the start. It has a link only while it runs.
const iteratorOfSockets = "find_sockets"

// allListening reports whether a packet socket of the process runs, if one of the programs is for one. Programs that note the owners of
// sockets come before those of the gadget, and show that there are more to come.
func allListening(t testing.TB, pid int, held []kerneltest.Object) bool {
	t.Helper()
	listening := !slices.ContainsFunc(held, isSocketFilter) || hasPacketSocket(t, pid)
	names := programNames(held)
	if !slices.Contains(names, iteratorOfSockets) {
		return listening
	}
	isOwners := func(name string) bool { return name == iteratorOfSockets || strings.HasPrefix(name, "on_") }
	if !slices.ContainsFunc(names, func(name string) bool { return !isOwners(name) }) {
		return false
	}
	return listening
}

func isSampler(o kerneltest.Object) bool {
	return o.Kind == "prog" && typeOf(o) == ebpf.PerfEvent
}

// allSampling reports whether programs for samples run, if there are any. The kernel does not say which program a perf event has; but
// gizmo filters its system calls once all programs are attached.
func (p *process) allSampling(t testing.TB, held []kerneltest.Object) bool {
	t.Helper()
	if !slices.ContainsFunc(held, isSampler) {
		return true
	}
	return p.isFiltered(t)
}

// isFiltered reports whether the kernel filters the system calls of gizmo, which is so once everything is attached.
func (p *process) isFiltered(t testing.TB) bool {
	t.Helper()
	filter := fmt.Sprintf("%s:\t%d\n", filterCount, ownFilters(t)+1)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	return err == nil && strings.Contains(string(status), "\n"+filter)
}

func isSocketFilter(o kerneltest.Object) bool {
	return o.Kind == "prog" && typeOf(o) == ebpf.SocketFilter
}

// typeOf returns the type of a program; UnspecifiedProgram if it has gone.
func typeOf(prog kerneltest.Object) ebpf.ProgramType {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(prog.ID))
	if err != nil {
		return ebpf.UnspecifiedProgram
	}
	defer p.Close()
	return p.Type()
}

// hasPacketSocket reports whether the process has a packet socket of this network namespace that receives packets.
func hasPacketSocket(t testing.TB, pid int) bool {
	t.Helper()
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	table, err := os.ReadFile("/proc/net/packet")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		target, _ := os.Readlink(fd)
		inode, ok := strings.CutPrefix(target, "socket:[")
		if !ok {
			continue
		}
		for line := range strings.Lines(string(table)) {
			const running, inodeAt = 5, 8
			if f := strings.Fields(line); len(f) > inodeAt && f[inodeAt]+"]" == inode && f[running] == "1" {
				return true
			}
		}
	}
	return false
}

// allClassifying reports whether as many dispatchers are attached to interfaces as there are programs for them.
func allClassifying(t testing.TB, held []kerneltest.Object) bool {
	t.Helper()
	programs, dispatchers := 0, 0
	for _, o := range held {
		switch {
		case o.Kind == "prog" && typeOf(o) == ebpf.SchedCLS && !isDispatcher(o.ID):
			programs++
		case o.Kind == "link" && isDispatcher(o.Prog):
			dispatchers++
		}
	}
	return dispatchers >= programs || programs > 0 && countFilters(t) >= programs
}

// dispatcherName is the name of the programs that gizmo attaches in place of those for packets.
const dispatcherName = "gizmo_dispatch"

func isDispatcher(program uint32) bool {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(program))
	if err != nil {
		return false
	}
	defer p.Close()
	info, err := p.Info()
	return err == nil && info.Name == dispatcherName
}

// countFilters counts the dispatchers that are filters, as kernels before 6.6 have them.
func countFilters(t testing.TB) (n int) {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
			filters, _ := netlink.FilterList(l, parent)
			for _, f := range filters {
				if b, ok := f.(*netlink.BpfFilter); ok && strings.HasPrefix(b.Name, dispatcherName) {
					n++
				}
			}
		}
	}
	return n
}

// wantGone checks that the kernel has got rid of the objects, which it does in its own time.
func wantGone(t testing.TB, objects []kerneltest.Object) {
	t.Helper()
	if len(objects) == 0 {
		t.Fatal("there were no objects to look for")
	}
	for _, o := range objects {
		for deadline := time.Now().Add(patience); o.Exists(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("%s %d is still in the kernel", o.Kind, o.ID)
				break
			}
		}
	}
}

// kernelName returns the part of a program's name that the kernel keeps. The library knows more if the kernel
// also has the program's types.
func kernelName(name string) string { return name[:min(len(name), unix.BPF_OBJ_NAME_LEN-1)] }

// programNames returns the names of those of the objects that are programs, as the kernel has them.
func programNames(objects []kerneltest.Object) []string {
	var names []string
	for _, o := range objects {
		if o.Kind != "prog" {
			continue
		}
		if p, err := ebpf.NewProgramFromID(ebpf.ProgramID(o.ID)); err == nil {
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

// leftovers are the remains of a run that no descriptor holds.
type leftovers []string

func findLeftovers(t testing.TB) leftovers {
	t.Helper()
	all, err := kerneltest.Leftovers()
	if err != nil {
		t.Fatal(err)
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
