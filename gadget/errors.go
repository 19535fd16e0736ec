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
	// Reason is the verifier's last word.
	Reason string
	// Log is all that the verifier wrote.
	Log []string

	cause error
}

// Error is one line; the log is apart.
func (e *VerifierError) Error() string {
	return fmt.Sprintf("the kernel's verifier rejected the gadget: %s", e.Reason)
}

func (e *VerifierError) Unwrap() error { return e.cause }

// explainLoad puts what the kernel said about loading into the user's terms.
func explainLoad(err error) error {
	var ve *ebpf.VerifierError
	switch {
	case errors.As(err, &ve) && len(ve.Log) > 0:
		reason := lastWord(ve.Log)
		if strings.Contains(reason, "unknown func bpf_probe_read") && hidesItsMemory() {
			reason += " (this kernel is locked down, and lets no program read its memory: boot it with lockdown=integrity)"
		}
		return &VerifierError{Reason: reason, Log: ve.Log, cause: err}
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: the kernel refused to load the gadget (a container or a security module may forbid it): %w", ErrPrivileges, err)
	}
	return fmt.Errorf("load the gadget: %w", err)
}

// explainHooks says which program's hook is missing, if that is why the kernel did not load them.
func (g *Gadget) explainHooks(k *kernel, err error) error {
	for _, p := range g.programs {
		if missing := p.missing(k); missing != nil {
			return g.refused(p, cmp.Or(p.explain(k, missing), missing), err)
		}
	}
	return explainLoad(err)
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

// lastWord finds the verifier's reason: the last line that is neither statistics nor a trace of
// the instructions.
func lastWord(log []string) string {
	for i := len(log) - 1; i >= 0; i-- {
		line := strings.TrimSpace(log[i])
		if line != "" && !strings.HasPrefix(line, "processed ") && !strings.HasPrefix(line, "max_states") {
			return line
		}
	}
	return "no reason given"
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

// explainKernelBTF says what a kernel without type information lacks.
func explainKernelBTF(err error) error {
	return fmt.Errorf("this kernel has no BTF (/sys/kernel/btf/vmlinux), which gadgets need to find their way in its structs; "+
		"it takes a kernel built with CONFIG_DEBUG_INFO_BTF=y: %w", err)
}
