// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// offered says which hooks this machine's kernel has. It asks the kernel in other ways than gizmo
// does, as far as there are others.
func offered(t testing.TB) func(hook) bool {
	t.Helper()
	return func(h hook) bool {
		switch h.kind {
		case "kprobe", "kretprobe", "kprobe.multi", "kretprobe.multi":
			return exists(kprobePMU, kerneltest.KprobeFile) && hasFunction(t, h.target)
		case "ksyscall", "kretsyscall":
			return exists(kprobePMU, kerneltest.KprobeFile)
		case "uprobe", "uretprobe", "usdt":
			return exists(uprobePMU, kerneltest.UprobeFile)
		case "fentry", "fexit", "fmod_ret":
			return canTrace() && hasFunction(t, h.target)
		case "lsm":
			return hasBPFSecurity(t) && hasFunction(t, "bpf_lsm_"+h.target)
		case "iter":
			return hasType[*btf.Func](t, "bpf_iter_"+h.target)
		case "tp_btf":
			return hasType[*btf.Typedef](t, "btf_trace_"+h.target)
		case "tracepoint", "tp":
			return exists("/sys/kernel/tracing/events/"+h.target+"/id", "/sys/kernel/debug/tracing/events/"+h.target+"/id")
		}
		return true // kinds that each kernel has on which gizmo runs
	}
}

// Where the kernel has the two kinds of probes, in its newer and its older way.
const (
	kprobePMU = "/sys/bus/event_source/devices/kprobe/type"
	uprobePMU = "/sys/bus/event_source/devices/uprobe/type"
)

func exists(paths ...string) bool {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	return false
}

// hasFunction reports whether the kernel, with the modules that are loaded, has a function.
func hasFunction(t testing.TB, name string) bool {
	t.Helper()
	has, err := functions.has(name)
	if err != nil {
		t.Fatal(err)
	}
	return has
}

// functionList is the kernel's list of functions, which is long, and changes together with the list of
// modules.
type functionList struct {
	mu      sync.Mutex
	modules string
	all     map[string]bool
}

var functions functionList

func (l *functionList) has(name string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	modules, err := moduleNames()
	if err != nil {
		return false, err
	}
	if l.all == nil || l.modules != modules {
		if l.all, err = readFunctions(); err != nil {
			return false, err
		}
		l.modules = modules
	}
	return l.all[name], nil
}

// moduleNames lists the modules that are loaded, none if the kernel has none at all.
func moduleNames() (string, error) {
	text, err := os.ReadFile("/proc/modules")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var names strings.Builder
	for line := range strings.Lines(string(text)) { // after the name there is the number of users
		name, _, _ := strings.Cut(line, " ")
		names.WriteString(name + " ")
	}
	return names.String(), err
}

// readFunctions reads the kernel's list of symbols, of which functions have the letters t and T.
func readFunctions() (map[string]bool, error) {
	symbols, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil, err
	}
	defer symbols.Close()
	all := make(map[string]bool)
	lines := bufio.NewScanner(symbols)
	for lines.Scan() {
		_, rest, _ := bytes.Cut(lines.Bytes(), []byte(" "))
		if letter, name, _ := bytes.Cut(rest, []byte(" ")); len(letter) == 1 && letter[0]|0x20 == 't' {
			name, _, _ = bytes.Cut(name, []byte("\t")) // the module's name follows
			all[string(name)] = true
		}
	}
	return all, lines.Err()
}

var kernelTypes = sync.OnceValues(btf.LoadKernelSpec)

// hasType reports whether the kernel has a type of this kind and name.
func hasType[T btf.Type](t testing.TB, name string) bool {
	t.Helper()
	types, err := kernelTypes()
	if err != nil {
		t.Fatal(err)
	}
	var found T
	return types.TypeByName(name, &found) == nil
}

// canTrace reports whether programs can be hung on functions directly, by trying.
var canTrace = sync.OnceValue(func() bool {
	return attaches(&ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceFEntry, AttachTo: "vfs_fsync_range"},
		func(p *ebpf.Program) (link.Link, error) { return link.AttachTracing(link.TracingOptions{Program: p}) })
})

// hasBPFSecurity reports whether programs can be hung on the hooks of security modules.
func hasBPFSecurity(t testing.TB) bool {
	t.Helper()
	list, err := os.ReadFile("/sys/kernel/security/lsm")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimSpace(string(list)), ",") {
		if name == "bpf" {
			return canSecure()
		}
	}
	return false
}

var canSecure = sync.OnceValue(func() bool {
	return attaches(&ebpf.ProgramSpec{Type: ebpf.LSM, AttachType: ebpf.AttachLSMMac, AttachTo: "path_chroot"},
		func(p *ebpf.Program) (link.Link, error) { return link.AttachLSM(link.LSMOptions{Program: p}) })
})

// attaches tries out a program that does nothing.
func attaches(spec *ebpf.ProgramSpec, attach func(*ebpf.Program) (link.Link, error)) bool {
	if err := rlimit.RemoveMemlock(); err != nil {
		return false
	}
	spec.License = "GPL"
	spec.Instructions = asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		return false
	}
	defer p.Close()
	l, err := attach(p)
	if err != nil {
		return false
	}
	l.Close()
	return true
}
