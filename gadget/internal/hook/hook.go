// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package hook knows the kinds of hooks that programs are attached to, a file for each: how a target is
// checked, what the kernel may lack, how a program is prepared and attached, and how errors are
// explained.
package hook

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/dispatch"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/idle"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/netns"
)

// hook is one kind of hook. A nil function does nothing.
type hook struct {
	// sections are the first parts of the ELF sections of its programs: "kprobe" of "kprobe/vfs_read". A
	// "*" at the end matches any further letters.
	sections []string
	// iface: its programs are attached to a network interface, which the user may choose.
	iface bool
	// fixed: the target of a program is a part of it from loading on.
	fixed bool
	// tracefs: the library may create an event in tracefs for the program, and removes it by writing to a file there. It
	// does so if it cannot use the kernel's perf events: the kernel lacks them, sysfs is not mounted, or the function's name has a dot.
	tracefs bool
	// check returns an error if the target is wrong. It does not ask the kernel.
	check func(p *image.Program) error
	// missing returns an error if the kernel does not have the hook, in the user's terms: what is missing
	// and where to find what exists. It is called before anything is loaded, for programs that
	// have a stand-in, and after loading has failed, for all. Nil means that the hook exists, or that it
	// is unknown.
	missing func(k *kernel.Kernel, p *image.Program) error
	// explain explains why the kernel refused to load or attach the program: err is the error of missing
	// or of the kernel. It may be slow. Nil: there is nothing to add.
	explain func(k *kernel.Kernel, p *image.Program, err error) error
	// prepare changes the program before it is loaded.
	prepare func(p *image.Program, spec *ebpf.ProgramSpec) error
	// attach hangs the program on its hook until the result is closed. Nil if the programs are for a data
	// source to run.
	attach func(l *Loaded, p *image.Program, prog *ebpf.Program) (io.Closer, error)
	// probe returns the probe of a program that is attached to a file, which each root can have its own of.
	probe func(l *Loaded, p *image.Program) (*userProbe, error)
	// network attaches a program for packets in a network namespace, whose own interfaces or packets it is for.
	network func(l *Loaded, p *image.Program, t *dispatch.Target, ns *netns.Namespace) (io.Closer, error)
	// result says what the result of a program is for.
	result result
}

// result says what the result of a program is for.
type result uint8

const (
	ignored   result = iota // the kernel ignores it
	objection               // 0 has no effect, as if there were no program
	verdict                 // every value has an effect
)

// hooks lists all hooks that gizmo knows.
func hooks() []*hook {
	return []*hook{
		tracepointHook(),
		rawTracepointHook(),
		btfTracepointHook(),
		kprobeHook(),
		fentryHook(),
		fexitHook(),
		modifyReturnHook(),
		lsmHook(),
		perfEventHook(),
		sockOpsHook(),
		controlGroupHook(),
		streamHook(),
		messageHook(),
		xdpHook(),
		iterHook(),
		uprobeHook(),
		uretprobeHook(),
		usdtHook(),
		socketHook(),
		classifierHook(),
	}
}

// of returns the hook of a program; an empty one if gizmo does not know the kind of the program.
func of(p *image.Program) *hook {
	kind := p.Kind()
	for _, h := range hooks() {
		if h.takes(kind) {
			return h
		}
	}
	return &hook{}
}

// takes reports whether programs of a kind are for this hook.
func (h *hook) takes(kind string) bool {
	for _, s := range h.sections {
		prefix, open := strings.CutSuffix(s, "*")
		if kind == prefix || open && strings.HasPrefix(kind, prefix) {
			return true
		}
	}
	return false
}

// Check returns an error if this version of gizmo cannot attach the program, or if its target is
// wrong. It does not use the kernel.
func Check(p *image.Program) error {
	switch h := of(p); {
	case len(h.sections) == 0:
		return fmt.Errorf("program %s: section %q names no kind of program that gizmo knows", p.Name, p.Section)
	case h.check != nil:
		return h.check(p)
	}
	return nil
}

// Missing returns an error if the kernel is known not to have the program's hook.
func Missing(k *kernel.Kernel, p *image.Program) error {
	if missing := of(p).missing; missing != nil {
		return missing(k, p)
	}
	return nil
}

// Explain says more about an error of Missing or of the kernel; nil if there is nothing to add.
func Explain(k *kernel.Kernel, p *image.Program, err error) error {
	if explain := of(p).explain; explain != nil {
		return explain(k, p, err)
	}
	return nil
}

// Prepare changes the program, before it is loaded, as the hook needs it.
func Prepare(p *image.Program, spec *ebpf.ProgramSpec) error {
	spec.AttachTo = p.Target
	if prepare := of(p).prepare; prepare != nil {
		return prepare(p, spec)
	}
	return nil
}

// IsIdle reports whether the loaded program does nothing where it hangs.
func IsIdle(p *image.Program, prog *ebpf.Program) bool {
	switch of(p).result {
	case objection:
		return agrees(prog)
	case verdict:
		return false
	}
	return isIdle(prog)
}

// MayBeLeftOut reports whether a program with that answer has no effect at its hook, so that gizmo need not load it.
// gizmo always loads programs that a data source runs.
func MayBeLeftOut(p *image.Program, answer idle.Answer) bool {
	h := of(p)
	switch {
	case h.attach == nil || h.result == verdict:
		return false
	case h.result == objection:
		return answer == idle.Zero
	}
	return answer != idle.Busy
}

// TakesInterface reports whether the program is attached to a network interface.
func TakesInterface(p *image.Program) bool { return of(p).iface }

// DetachWritesFiles reports whether detaching the program may have to open a file for writing.
func DetachWritesFiles(p *image.Program) bool { return of(p).tracefs }

// IsAttachable reports whether the program is attached to something. If not, a data source runs it.
func IsAttachable(p *image.Program) bool { return of(p).attach != nil }

// Loaded is what attaching needs to know about the gadget beside the program.
type Loaded struct {
	// ProbeSpecs declares the map for the arguments of static probes; nil: the object has none.
	ProbeSpecs *ebpf.MapSpec
	// AttachTypes are those of the programs, by their names.
	AttachTypes map[string]ebpf.AttachType
	// Maps are those of the gadget in the kernel.
	Maps map[string]*ebpf.Map
	// Cookies says whether programs can ask for the number that their probe was given.
	Cookies bool
	// UprobeMulti says whether one link can hold many probes in user space.
	UprobeMulti bool
	// Home is the network namespace that the gadget was loaded in; nil: no program is for packets.
	Home *netns.Namespace
	// Containers says that containers have programs of their own, so that those of the host leave out what belongs to containers.
	Containers bool
	// TCLinks says whether links attach programs to network interfaces.
	TCLinks bool
	// Log gets messages that are not errors.
	Log *slog.Logger

	files    sharedLinks[place]     // what is attached to files
	networks sharedLinks[inNetwork] // what is attached in network namespaces

	mu      sync.Mutex                  // guards the fields below
	probes  *usdtSpecs                  // descriptions of the arguments of static probes; nil until there is one
	targets map[string]*dispatch.Target // programs for packets, by name
	ends    *interfaceEnds              // the interfaces of Home; nil until a program is attached to one
	closed  bool
}

// errClosed is the error about attaching a program to packets after Close.
var errClosed = errors.New("the gadget is closed")

// Close lets go of what attaching needed. All programs are detached. A second call does nothing.
func (l *Loaded) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	var errs []error
	if l.ends != nil {
		errs = append(errs, l.ends.Close())
	}
	for _, t := range l.targets {
		errs = append(errs, t.Close())
	}
	if l.Home != nil {
		errs = append(errs, l.Home.Close())
	}
	return errors.Join(errs...)
}

// Attach hangs the program on its target until the result is closed.
func Attach(l *Loaded, p *image.Program, prog *ebpf.Program) (io.Closer, error) {
	return of(p).attach(l, p, prog)
}

// WithTarget returns the program with another target, in the form of attach_to.
func WithTarget(p *image.Program, target string) (*image.Program, error) {
	if target == p.Target {
		return p, nil
	}
	if of(p).fixed {
		return nil, fmt.Errorf("program %s: programs in sections like %s are loaded for their target (%s) and take no other", p.Name, p.Kind(), p.Target)
	}
	other := *p
	other.Target, other.Settings.AttachTo = target, target
	if other.SockMap != "" {
		other.SockMap = target
	}
	return &other, Check(&other)
}
