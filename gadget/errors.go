// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// ErrNotYetSupported is wrapped by errors about parts of the gadget ABI that this version of gizmo
// reads but cannot run.
var ErrNotYetSupported = errors.New("not yet supported")

// ErrPrivileges is wrapped by errors for want of privileges.
var ErrPrivileges = errors.New("missing privileges")

// VerifierError says that the kernel's verifier rejected a program.
type VerifierError struct {
	// Program is the name of the program; empty if it is not known.
	Program string
	// Reason is the verifier's last word.
	Reason string
	// Log is all that the verifier wrote.
	Log []string

	cause error
}

// Error is one line; the log is apart.
func (e *VerifierError) Error() string {
	if e.Program == "" {
		return fmt.Sprintf("the kernel's verifier rejected the gadget: %s", e.Reason)
	}
	return fmt.Sprintf("program %s: the kernel's verifier rejected it: %s", e.Program, e.Reason)
}

func (e *VerifierError) Unwrap() error { return e.cause }

// blamed returns the program that an error of loading is about, or nil. The library's errors begin with
// the program's name; there is no type that has it.
func (g *Gadget) blamed(err error) *Program {
	for _, p := range g.programs {
		if strings.HasPrefix(err.Error(), "program "+p.Name+": ") {
			return p
		}
	}
	return nil
}

// explainLoad puts what the kernel said about loading into the user's terms. The program that the error
// is about may be nil.
func explainLoad(p *Program, err error) error {
	var ve *ebpf.VerifierError
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Errorf("load the gadget: too many open files: each map and program takes one; a higher limit allows more (ulimit -n): %w", err)
	case errors.As(err, &ve) && len(ve.Log) > 0 && !(errors.Is(err, unix.EPERM) && lastWord(ve.Log) == noReason):
		reason := lastWord(ve.Log)
		if strings.Contains(reason, "unknown func bpf_probe_read") && hidesItsMemory() {
			reason += " (this kernel is locked down, and lets no program read its memory: boot it with lockdown=integrity)"
		}
		rejected := &VerifierError{Reason: reason, Log: ve.Log, cause: err}
		if p != nil {
			rejected.Program = p.Name
		}
		return rejected
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: the kernel refused to load the gadget (a container or a security module may forbid it): %w", ErrPrivileges, err)
	case errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("load the gadget: the kernel has not enough memory for it: a smaller --buffer-size takes less; "+
			"a higher limit of this process's control group allows more: %w", err)
	}
	return fmt.Errorf("load the gadget: %w", err)
}

// explainHooks says which program's hook is missing, if that is why the kernel did not load them, or
// else what it said about the program that it refused, if that is known.
func (g *Gadget) explainHooks(k *kernel, refused *Program, err error) error {
	for _, p := range g.programs {
		if missing := p.missing(k); missing != nil {
			return g.refused(p, cmp.Or(p.explain(k, missing), missing), err)
		}
	}
	if refused == nil {
		return explainLoad(nil, err)
	}
	return g.refused(refused, g.nameType(refused, explainLoad(refused, err)), err)
}

// explainAttach says which hook a program could not be attached to and, if the kernel lacks it, where
// to look for those that exist.
func (g *Gadget) explainAttach(p *Program, err error) error {
	if k, kernelErr := newKernel(); kernelErr == nil {
		missing := p.missing(k)
		if why := cmp.Or(p.explain(k, cmp.Or(missing, err)), missing); why != nil {
			return g.refused(p, why, err)
		}
	}
	return fmt.Errorf("attach program %s to %s: %w", p.Name, p.place(), err)
}

// refused says why the kernel does not run a program. The reason may have its cause with it.
func (g *Gadget) refused(p *Program, why, err error) error {
	if errors.Unwrap(why) == nil {
		why = fmt.Errorf("%w: %w", why, err)
	}
	if others := g.others(p); others != "" {
		why = fmt.Errorf("%w%s", why, others)
	}
	return why
}

// others says why the first of those does not run for which a program stands in, and how many there
// are.
func (g *Gadget) others(p *Program) string {
	text, more := "", 0
	for _, c := range g.choices {
		switch {
		case c.Why == nil || !slices.Contains(p.StandsInFor, c.Program.Name):
		case text == "":
			text = fmt.Sprintf("; it would have stood in for another (%s%s)", c.Why, g.others(c.Program))
		default:
			more++
		}
	}
	if more > 0 {
		text += fmt.Sprintf(", and for %d more", more)
	}
	return text
}

// noReason stands for the reason of a log that has none: the verifier had nothing to say against the program.
const noReason = "no reason given"

// lastWord finds the verifier's reason: the last line that is neither statistics nor a trace of
// the instructions.
func lastWord(log []string) string {
	for i := len(log) - 1; i >= 0; i-- {
		line := strings.TrimSpace(log[i])
		if line != "" && !strings.HasPrefix(line, "processed ") && !strings.HasPrefix(line, "max_states") {
			return line
		}
	}
	return noReason
}

// checkPrivileges fails early, and in plain words, where loading could only fail.
func checkPrivileges() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil // the kernel will tell
	}
	has := func(c int) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	if has(unix.CAP_SYS_ADMIN) || has(unix.CAP_BPF) && has(unix.CAP_PERFMON) {
		return nil
	}
	return fmt.Errorf("%w: running a gadget needs root, or the capabilities CAP_BPF and CAP_PERFMON: try sudo", ErrPrivileges)
}

// checkPossibleCPUs refuses machines on which numbers of CPUs that may come are missing between others. The
// kernel then tells of the values for each CPU in another order than that of the numbers, for which the
// library has no way.
func checkPossibleCPUs(possible []int) error {
	if last := len(possible) - 1; possible[last] != last {
		return fmt.Errorf("%w: the numbers of this machine's possible CPUs have holes (/sys/devices/system/cpu/possible): %v", ErrNotYetSupported, possible)
	}
	return nil
}

// explainMemlock says what it takes on kernels that count the memory of maps as locked.
func explainMemlock(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: kernels before 5.11 count what a gadget takes as locked memory: run as root, with CAP_SYS_RESOURCE, or without that limit (ulimit -l unlimited): %w",
			ErrPrivileges, err)
	}
	return fmt.Errorf("raise the limit of locked memory: %w", err)
}

// explainKernelBTF says what a kernel without type information lacks.
func explainKernelBTF(err error) error {
	return fmt.Errorf("this kernel has no BTF (/sys/kernel/btf/vmlinux), which gadgets need to find their way in its structs; "+
		"it takes a kernel built with CONFIG_DEBUG_INFO_BTF=y: %w", err)
}
