// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bufio"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// offer is what the running kernel offers, found by other means than those under test.
type offer struct {
	kprobes     bool
	trampolines bool // fentry and fexit
	lsm         bool
}

var findOffer = sync.OnceValue(func() offer {
	if text := os.Getenv(holdEnv); text != "" { // TestKillLeavesNothing passes it to its process
		return offer{kprobes: strings.Contains(text, "kprobes"), trampolines: strings.Contains(text, "trampolines"), lsm: strings.Contains(text, "lsm")}
	}
	_ = rlimit.RemoveMemlock()
	o := offer{kprobes: len(kernelSymbolsLike(func(name, _ string) bool { return name == "register_kprobe" })) > 0}
	o.trampolines = attaches(ebpf.Tracing, ebpf.AttachTraceFEntry, "bpf_fentry_test1")
	active, _ := os.ReadFile("/sys/kernel/security/lsm") // mounted in the lab
	o.lsm = strings.Contains(string(active), "bpf") && attaches(ebpf.LSM, ebpf.AttachLSMMac, "task_getpgid")
	return o
})

// offers asks the kernel. It needs root.
func offers(t testing.TB) offer {
	t.Helper()
	kerneltest.RequireRoot(t)
	return findOffer()
}

func attaches(typ ebpf.ProgramType, at ebpf.AttachType, to string) bool {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: typ, AttachType: at, AttachTo: to, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return false
	}
	defer prog.Close()
	var l link.Link
	if typ == ebpf.LSM {
		l, err = link.AttachLSM(link.LSMOptions{Program: prog})
	} else {
		l, err = link.AttachTracing(link.TracingOptions{Program: prog})
	}
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// kernelSymbolsLike returns the names of the kernel's functions for which match returns true. The
// module is "" for functions that are built in.
func kernelSymbolsLike(match func(name, module string) bool) []string {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil
	}
	defer f.Close()
	var names []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		module := ""
		if len(fields) > 3 {
			module = strings.Trim(fields[3], "[]")
		}
		if strings.ContainsAny(fields[1], "tT") && match(fields[2], module) {
			names = append(names, fields[2])
		}
	}
	return names
}
