// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

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

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
	"github.com/gizmo-ebpf/gizmo/internal/nearest"
)

// errNotMounted says that gizmo sees no control groups of version 2.
var errNotMounted = errors.New("control groups of version 2 are not mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup")

// ControlGroupOf returns the folder of the control group whose sockets a program sees.
func ControlGroupOf(p *image.Program) (string, error) {
	if p.Target != "" {
		if !kernel.Exists(filepath.Join(p.Target, "cgroup.procs")) || !kernel.Exists(filepath.Join(p.Target, "cgroup.controllers")) {
			return "", fmt.Errorf("program %s: %s: %s is not a control group of version 2", p.Name, p.Kind(), p.Target)
		}
		return p.Target, nil
	}
	mounts, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("program %s: %s: %w", p.Name, p.Kind(), err)
	}
	defer mounts.Close()
	points, err := cgroupMounts(mounts)
	if err != nil {
		return "", fmt.Errorf("program %s: %s: %w", p.Name, p.Kind(), err)
	}
	for _, point := range points {
		if !kernel.Exists(filepath.Join(point, "cgroup.events")) { // which only the root lacks
			return point, nil
		}
	}
	if len(points) > 0 {
		return "", fmt.Errorf("program %s: %s: the root of the host's control groups is not mounted here (%s is only a part of them): run gizmo in the host's namespaces", p.Name, p.Kind(), points[0])
	}
	return "", fmt.Errorf("program %s: %s: %w", p.Name, p.Kind(), errNotMounted)
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

// sockMapHook is for programs that are attached to a map and run for the sockets that are put
// there. They end with the map.
func sockMapHook(kind string, sections ...string) *hook {
	return &hook{
		sections: []string{kind},
		check: func(p *image.Program) error {
			if !slices.Contains(sections, p.Section) {
				return fmt.Errorf("program %s: section %q: want %s", p.Name, p.Section, strings.Join(sections, " or "))
			}
			if p.SockMap == "" {
				return fmt.Errorf("program %s: section %q: its map is missing: add GADGET_SK_TARGET_MAP(%s, MAP)", p.Name, p.Section, p.Name)
			}
			return nil
		},
		attach: func(l *Loaded, p *image.Program, prog *ebpf.Program) (io.Closer, error) {
			m := l.Maps[p.SockMap]
			if m == nil || m.Type() != ebpf.SockMap && m.Type() != ebpf.SockHash {
				return nil, fmt.Errorf("the gadget has no SockMap or SockHash %q%s", p.SockMap, nearest.Hint(p.SockMap, socketMaps(l.Maps)))
			}
			return attachToMap(m, prog, l.AttachTypes[p.Name])
		},
		result: verdict,
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

// socketMaps names the maps that sockets can be put into.
func socketMaps(all map[string]*ebpf.Map) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if t := all[name].Type(); t == ebpf.SockMap || t == ebpf.SockHash {
			names = append(names, name)
		}
	}
	return names
}
