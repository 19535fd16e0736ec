// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
)

// sockOpsHook is for events of the TCP sockets of a control group: all sockets on the host, unless the
// target is the folder of a group.
func sockOpsHook() *hook { return groupHook("sockops") }

// controlGroupHook is for what the processes of a control group do with sockets, and for the packets of these.
func controlGroupHook() *hook { return groupHook("cgroup", "cgroup_skb") }

// groupHook is for programs that are attached to a control group. The sections say to which place in it.
func groupHook(sections ...string) *hook {
	return &hook{
		sections: sections,
		check: func(p *image.Program) error {
			if p.Target != "" && !filepath.IsAbs(p.Target) {
				return fmt.Errorf("program %s: %q: want the path of a control group's folder in attach_to, or none for all sockets of the host", p.Name, p.Place())
			}
			return nil
		},
		missing: func(_ *kernel.Kernel, p *image.Program) error {
			_, err := ControlGroupOf(p)
			return err
		},
		attach: attachToGroup,
		result: verdict,
	}
}

func attachToGroup(l *Loaded, p *image.Program, prog *ebpf.Program) (io.Closer, error) {
	path, err := ControlGroupOf(p)
	if err != nil {
		return nil, err
	}
	folder, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	at := l.AttachTypes[p.Name]
	attached, err := link.AttachRawLink(link.RawLinkOptions{Target: int(folder.Fd()), Program: prog, Attach: at})
	switch {
	case errors.Is(err, link.ErrNotSupported):
		// The older way leaves the program attached when gizmo is killed.
		return nil, fmt.Errorf("this kernel has no links to control groups (they came with Linux 5.7): %w", err)
	case errors.Is(err, unix.EPERM):
		return nil, explainGroup(folder, at, err)
	case err != nil:
		return nil, err
	}
	return attached, nil
}

// explainGroup names the programs because of which a control group takes no others.
func explainGroup(folder *os.File, at ebpf.AttachType, cause error) error {
	attached, err := link.QueryPrograms(link.QueryOptions{Target: int(folder.Fd()), Attach: at})
	if err != nil || len(attached.Programs) == 0 {
		return cause
	}
	var names []string
	for _, p := range attached.Programs {
		names = append(names, programName(p.ID))
	}
	slices.Sort(names)
	return fmt.Errorf("the control group %s has a program that was attached so that it allows no others beside it (bpftool cgroup show %[1]s): %s: %w",
		folder.Name(), strings.Join(names, ", "), cause)
}

func programName(id ebpf.ProgramID) string {
	prog, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return fmt.Sprintf("id %d", id)
	}
	defer prog.Close()
	info, err := prog.Info()
	if err != nil || info.Name == "" {
		return fmt.Sprintf("id %d", id)
	}
	return fmt.Sprintf("%s (id %d)", info.Name, id)
}
