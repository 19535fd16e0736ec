// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// sockOpsHook is for what happens to the TCP sockets of a control group: of all on the host, unless the
// target is the folder of another.
func sockOpsHook() *hook {
	return &hook{
		sections: []string{"sockops"},
		check: func(p *Program) error {
			if p.Target != "" && !filepath.IsAbs(p.Target) {
				return fmt.Errorf("program %s: %q: want the path of a control group's folder in attach_to, or none for all sockets of the host", p.Name, p.place())
			}
			return nil
		},
		missing: func(_ *kernel, p *Program) error {
			_, err := controlGroupOf(p)
			return err
		},
		attach: attachSockOps,
		idle:   neverIdle,
	}
}

func attachSockOps(_ *Gadget, p *Program, prog *ebpf.Program) (io.Closer, error) {
	path, err := controlGroupOf(p)
	if err != nil {
		return nil, err
	}
	folder, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	l, err := link.AttachRawLink(link.RawLinkOptions{Target: int(folder.Fd()), Program: prog, Attach: ebpf.AttachCGroupSockOps})
	if errors.Is(err, link.ErrNotSupported) {
		// The older way leaves the program attached when gizmo is killed.
		return nil, fmt.Errorf("this kernel has no links to control groups (they came with Linux 5.7): %w", err)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// controlGroupOf returns the folder of the control group whose sockets a program sees.
func controlGroupOf(p *Program) (string, error) {
	if p.Target != "" {
		if !exists(filepath.Join(p.Target, "cgroup.procs")) || !exists(filepath.Join(p.Target, "cgroup.controllers")) {
			return "", fmt.Errorf("program %s: %s: %s is no control group of version 2", p.Name, p.kind(), p.Target)
		}
		return p.Target, nil
	}
	mounts, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("program %s: %s: %w", p.Name, p.kind(), err)
	}
	defer mounts.Close()
	points, err := cgroupMounts(mounts)
	if err != nil {
		return "", fmt.Errorf("program %s: %s: %w", p.Name, p.kind(), err)
	}
	for _, point := range points {
		if !exists(filepath.Join(point, "cgroup.events")) { // which only the root lacks
			return point, nil
		}
	}
	if len(points) > 0 {
		return "", fmt.Errorf("program %s: %s: the root of the host's control groups is not mounted here (%s is a part of them only): run gizmo in the host's namespaces", p.Name, p.kind(), points[0])
	}
	return "", fmt.Errorf("program %s: %s: control groups of version 2 are not mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup", p.Name, p.kind())
}

// cgroupMounts returns where a list of mounts, in the form of /proc/PID/mountinfo, has control groups of
// version 2, or a part of them.
func cgroupMounts(r io.Reader) ([]string, error) {
	var points []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		kind, _, _ := strings.Cut(after, " ")
		if !ok || kind != "cgroup2" || len(fields) < 5 {
			continue
		}
		points = append(points, unescapeMount(fields[4]))
	}
	return points, lines.Err()
}

// unescapeMount puts the characters back that the kernel writes as \ooo.
func unescapeMount(path string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(path, `\`)
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		n, err := strconv.ParseUint(after[:min(3, len(after))], 8, 8)
		if err != nil || len(after) < 3 {
			b.WriteByte('\\')
			path = after
			continue
		}
		b.WriteByte(byte(n))
		path = after[3:]
	}
}

// streamHook is for the data that sockets in a map receive.
func streamHook() *hook {
	return sockMapHook("sk_skb", "sk_skb/stream_parser", "sk_skb/stream_verdict", "sk_skb/verdict")
}

// messageHook is for the data that they send.
func messageHook() *hook { return sockMapHook("sk_msg", "sk_msg") }

// sockMapHook is for programs that are attached to a map and run for the sockets that somebody puts
// there. They end with the map.
func sockMapHook(kind string, sections ...string) *hook {
	return &hook{
		sections: []string{kind},
		check: func(p *Program) error {
			if !slices.Contains(sections, p.Section) {
				return fmt.Errorf("program %s: section %q: want %s", p.Name, p.Section, strings.Join(sections, " or "))
			}
			if p.SockMap == "" {
				return fmt.Errorf("program %s: section %q: which map? Add GADGET_SK_TARGET_MAP(%s, MAP)", p.Name, p.Section, p.Name)
			}
			return nil
		},
		attach: func(g *Gadget, p *Program, prog *ebpf.Program) (io.Closer, error) {
			at := g.image.spec.Programs[p.Name].AttachType
			return attachToMap(g.coll.Maps[p.SockMap], prog, at)
		},
		idle: neverIdle,
	}
}

// inMap is a program that is attached to a map.
type inMap struct {
	m    *ebpf.Map
	prog *ebpf.Program
	at   ebpf.AttachType
}

func attachToMap(m *ebpf.Map, prog *ebpf.Program, at ebpf.AttachType) (io.Closer, error) {
	if err := link.RawAttachProgram(link.RawAttachProgramOptions{Target: m.FD(), Program: prog, Attach: at}); err != nil {
		return nil, err
	}
	return &inMap{m, prog, at}, nil
}

func (i *inMap) Close() error {
	return link.RawDetachProgram(link.RawDetachProgramOptions{Target: i.m.FD(), Program: i.prog, Attach: i.at})
}

// setSockMap tells to which map a program is attached.
func (img *Image) setSockMap(program, mapName string) error {
	if err := img.mustHaveProgram(program); err != nil {
		return errors.Join(err, img.mustHaveMap(mapName))
	}
	p := img.program(program)
	if p.SockMap != "" && p.SockMap != mapName {
		return fmt.Errorf("program %q is to be attached to the map %q already", program, p.SockMap)
	}
	p.SockMap = mapName
	return img.checkSockMap(mapName)
}

// overrideSockMap attaches a program to the map that the metadata names.
func (img *Image) overrideSockMap(p *Program) error {
	if kind := p.kind(); kind != "sk_skb" && kind != "sk_msg" || p.Disabled || p.settings.AttachTo == "" {
		return nil
	}
	p.SockMap = p.settings.AttachTo
	return img.checkSockMap(p.SockMap)
}

func (img *Image) checkSockMap(name string) error {
	if err := img.mustHaveMap(name); err != nil {
		return err
	}
	if t := img.spec.Maps[name].Type; t != ebpf.SockMap && t != ebpf.SockHash {
		return fmt.Errorf("map %q has the type %s; programs are attached to a SockMap or a SockHash%s", name, t, nearest.Hint(name, img.sockMaps()))
	}
	return nil
}

func (img *Image) sockMaps() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(img.spec.Maps)) {
		if t := img.spec.Maps[name].Type; t == ebpf.SockMap || t == ebpf.SockHash {
			names = append(names, name)
		}
	}
	return names
}
