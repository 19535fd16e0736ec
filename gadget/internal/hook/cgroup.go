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
			folder, err := openGroup(p)
			if err != nil {
				return err
			}
			return folder.Close()
		},
		attach: attachToGroup,
		result: verdict,
	}
}

func attachToGroup(l *Loaded, p *image.Program, prog *ebpf.Program) (io.Closer, error) {
	folder, err := openGroup(p)
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

// openGroup opens the control group of a program. The root of all groups need not be mounted.
func openGroup(p *image.Program) (*os.File, error) {
	path, err := ControlGroupOf(p)
	if err == nil {
		return os.Open(path)
	}
	if !errors.Is(err, errNotMounted) {
		return nil, err
	}
	root, detachedErr := detachedRoot()
	if detachedErr != nil {
		return nil, fmt.Errorf("%w (%w)", err, detachedErr)
	}
	return root, nil
}

// detachedRoot mounts the root of the control groups nowhere (since Linux 5.2). The mount ends with the file.
func detachedRoot() (*os.File, error) {
	fs, err := unix.Fsopen("cgroup2", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("this kernel has no control groups of version 2: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("mount control groups of version 2: %w", err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("mount control groups of version 2: %w", err)
	}
	defer unix.Close(mount)
	root, err := unix.Openat(mount, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the root of the control groups: %w", err)
	}
	var st unix.Stat_t
	if unix.Fstatat(root, "cgroup.events", &st, 0) == nil { // which only the root lacks
		unix.Close(root)
		return nil, errors.New("this process sees a part of the host's control groups only")
	}
	return os.NewFile(uintptr(root), "cgroup2"), nil
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
