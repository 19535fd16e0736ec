// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/hook"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
)

// ErrNotYetSupported is wrapped by errors about gadgets or machines that a later version of gizmo may support.
var ErrNotYetSupported = errors.New("not yet supported")

// ErrPrivileges is wrapped by errors about missing privileges.
var ErrPrivileges = kernel.ErrPrivileges

// ErrNoInterface is wrapped by the error about a program for which no network interface was named.
var ErrNoInterface = hook.ErrNoInterface

// MemoryError says that this process may not use enough memory. Smaller buffers need less.
type MemoryError = kernel.MemoryError

// VerifierError says that the kernel's verifier rejected a program.
type VerifierError struct {
	// Program is the name of the program; empty if it is not known.
	Program string
	// Reason is the verifier's last word.
	Reason string
	// Log is all that the verifier wrote.
	Log []string
	// Absent: the program needs something that this kernel does not have, a type or a function. Otherwise the verifier could not
	// follow the compiler's code, and may follow the code of another compiler.
	Absent bool

	cause error
}

// Error returns one line, without the log.
func (e *VerifierError) Error() string {
	if e.Program == "" {
		return fmt.Sprintf("the kernel's verifier rejected the gadget: %s", e.Reason)
	}
	return fmt.Sprintf("program %s: the kernel's verifier rejected it: %s", e.Program, e.Reason)
}

// Unwrap returns the kernel's error.
func (e *VerifierError) Unwrap() error { return e.cause }

// programOf returns the program that an error of loading is about, or nil. The library's errors begin with
// the program's name; there is no type that has it.
func programOf(programs []*image.Program, err error) *image.Program {
	for _, p := range programs {
		if strings.HasPrefix(err.Error(), "program "+p.Name+": ") {
			return p
		}
	}
	return nil
}

// explainLoad puts the kernel's error about loading into the user's terms. p is the program that the error
// is about, or nil.
func explainLoad(p *image.Program, err error) error {
	var ve *ebpf.VerifierError
	if errors.As(err, &ve) {
		if reason := lastWord(ve.Log); reason != "" {
			return rejection(p, reason, ve.Log, err)
		}
	}
	if p == nil {
		return cmp.Or(explainErrno("the kernel refuses to load the gadget", "of this kind", err), fmt.Errorf("load the gadget: %w", err))
	}
	inner := cmp.Or(errors.Unwrap(err), err) // without the name, which comes first here
	return cmp.Or(explainErrno("program "+p.Name+": the kernel refuses to load it", kindOf(p), inner), fmt.Errorf("load the gadget: %w", err))
}

// absentFunction matches the verifier's messages about functions that the kernel does not have, or not for programs of that kind.
var absentFunction = regexp.MustCompile(`^(unknown func |invalid func |program of this type cannot use helper |calling kernel function .* is not allowed)`)

// rejection is the error for a complaint of the verifier.
func rejection(p *image.Program, reason string, log []string, cause error) error {
	if strings.Contains(reason, "unknown func bpf_probe_read") && kernel.HidesItsMemory() {
		reason += " (this kernel is locked down, and lets no program read its memory: boot it with lockdown=integrity)"
	}
	rejected := &VerifierError{Reason: reason, Log: log, Absent: absentFunction.MatchString(reason), cause: cause}
	if p != nil {
		rejected.Program = p.Name
	}
	return rejected
}

// kindOf names the kind of a program as the kernel tells them apart: "of kind iter/bpf_map_elem".
func kindOf(p *image.Program) string {
	if kind := p.Kind(); !strings.HasPrefix(kind, "iter") {
		return "of kind " + kind
	}
	return "of kind " + p.Place()
}

// explainErrno says in the user's terms why the kernel refuses something that it does not find wrong; nil
// if it gives another reason. The refusal begins the sentence; kind names the kind of the programs.
func explainErrno(refusal, kind string, err error) error {
	switch {
	// The library keeps only the text of errors about links of perf events.
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), strings.HasSuffix(err.Error(), ": "+unix.EPERM.Error()):
		return fmt.Errorf("%s: %w; %w, or this kernel or its lockdown forbids programs %s", refusal, err, ErrPrivileges, kind)
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("%s: this process has reached its limit of open files; raise the limit (ulimit -n): %w", refusal, err)
	case errors.Is(err, unix.ENOMEM):
		return &MemoryError{Cause: fmt.Errorf("%s: it does not have enough memory: choose a smaller buffer, "+
			"or raise the memory limit of this process's control group: %w", refusal, err)}
	}
	return nil
}

// explainHooks says which program's hook is missing, if that is why the kernel did not load the programs. Otherwise
// it explains the kernel's error about the program that it refused, if that program is known.
func (g *Gadget) explainHooks(k *kernel.Kernel, refused *image.Program, err error) error {
	for _, p := range g.programs {
		if missing := hook.Missing(k, p); missing != nil {
			return g.refused(p, cmp.Or(hook.Explain(k, p, missing), missing), err)
		}
	}
	if refused == nil {
		return explainLoad(nil, err)
	}
	return g.refused(refused, g.nameType(refused, explainLoad(refused, err)), err)
}

// explainAttach says which hook a program could not be attached to and, if the kernel lacks it, where
// to look for those that exist.
func (g *Gadget) explainAttach(p *image.Program, err error) error {
	if k, kernelErr := kernel.New(nil, nil); kernelErr == nil {
		missing := hook.Missing(k, p)
		if why := cmp.Or(hook.Explain(k, p, cmp.Or(missing, err)), missing); why != nil {
			return g.refused(p, why, err)
		}
	}
	return cmp.Or(explainErrno("program "+p.Name+": the kernel refuses to attach it to "+p.Place(), kindOf(p), err),
		fmt.Errorf("attach program %s to %s: %w", p.Name, p.Place(), err))
}

// explainIterate is explainAttach for a program that a data source runs.
func (g *Gadget) explainIterate(p *image.Program, err error) error {
	var complete *hook.IterateError
	if errors.As(err, &complete) {
		return err
	}
	return g.explainAttach(p, err)
}

// refused says why the kernel does not run a program. The reason may have its cause with it.
func (g *Gadget) refused(p *image.Program, why, err error) error {
	if _, several := why.(interface{ Unwrap() []error }); errors.Unwrap(why) == nil && !several {
		why = fmt.Errorf("%w: %w", why, err)
	}
	if others := g.others(p); others != "" {
		why = fmt.Errorf("%w%s", why, others)
	}
	return why
}

// others says why the first of the programs that p stands in for does not run, and how many others there
// are.
func (g *Gadget) others(p *image.Program) string {
	text, more := "", 0
	for _, c := range g.choices {
		switch {
		case c.Why == nil || !slices.Contains(p.StandsInFor, c.Program.Name):
		case text == "":
			text = fmt.Sprintf("; it would have replaced a program that cannot run (%s%s)", c.Why, g.others(c.Program))
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
// the instructions. It is empty if the verifier did not complain.
func lastWord(log []string) string {
	for i := len(log) - 1; i >= 0; i-- {
		line := strings.TrimSpace(log[i])
		if line != "" && !strings.HasPrefix(line, "processed ") && !strings.HasPrefix(line, "max_states") {
			return line
		}
	}
	return ""
}
