// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// groupLimit returns the least memory limit of the control groups of this process, or [Unlimited].
// It checks both versions of control groups, because on some machines one version has the processes and the other
// one controls the memory.
func groupLimit(root fs.FS) (uint64, error) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if errors.Is(err, fs.ErrNotExist) {
		return Unlimited, nil // a kernel without control groups
	}
	if err != nil {
		return Unlimited, fmt.Errorf("control groups: %w", err)
	}
	mounts, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return Unlimited, fmt.Errorf("control groups: %w", err)
	}
	limit := uint64(Unlimited)
	for line := range strings.Lines(string(groups)) {
		// The number of the hierarchy, its controllers, the path of the group. Version 2 has number 0.
		part := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(part) != 3 {
			continue
		}
		var n uint64
		var err error
		switch {
		case part[0] == "0" && part[1] == "":
			n, err = limitV2(root, findMount(mounts, "cgroup2", ""), part[2])
		case slices.Contains(strings.Split(part[1], ","), "memory"):
			n, err = limitV1(root, findMount(mounts, "cgroup", "memory"), part[2])
		default:
			continue
		}
		if err != nil {
			return limit, err
		}
		limit = min(limit, n)
	}
	return limit, nil
}

// limitV2 returns the least limit of a group and of all groups above it that can be seen. The
// topmost group of a machine has no limit, and no file for it.
func limitV2(root fs.FS, m *mount, group string) (uint64, error) {
	limit := uint64(Unlimited)
	if m == nil {
		return limit, nil
	}
	for dir := m.folder(group); ; dir = path.Dir(dir) {
		text, err := readIfThere(root, path.Join(dir, "memory.max"))
		if err != nil {
			return limit, err
		}
		if text = bytes.TrimSpace(text); len(text) > 0 && string(text) != "max" {
			n, err := strconv.ParseUint(string(text), 10, 64)
			if err != nil {
				return limit, fmt.Errorf("/%s/memory.max: %w", dir, err)
			}
			limit = min(limit, n)
		}
		if len(dir) <= len(m.point) {
			return limit, nil
		}
	}
}

// limitV1 returns the limit of a group. The kernel itself computes the least limit that applies to
// the group, including limits of groups that are not visible in a container, and reports it in memory.stat.
// A group without a limit has a number near the largest possible one.
func limitV1(root fs.FS, m *mount, group string) (uint64, error) {
	if m == nil {
		return Unlimited, nil
	}
	name := path.Join(m.folder(group), "memory.stat")
	text, err := readIfThere(root, name)
	if err != nil {
		return Unlimited, err
	}
	for line := range strings.Lines(string(text)) {
		number, ok := strings.CutPrefix(strings.TrimSpace(line), "hierarchical_memory_limit ")
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return Unlimited, fmt.Errorf("/%s: %w", name, err)
		}
		if n >= noLimitV1 {
			n = Unlimited
		}
		return n, nil
	}
	return Unlimited, nil
}

// noLimitV1 is the least of the numbers that mean "no limit": the greatest number of whole pages that
// fits 63 bits, with the largest pages there are (64 KiB).
const noLimitV1 = 1<<63 - 64<<10

func readIfThere(root fs.FS, name string) ([]byte, error) {
	text, err := fs.ReadFile(root, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control groups: %w", err)
	}
	return text, nil
}

// mount is a place where a hierarchy of control groups can be seen.
type mount struct {
	group string // the group that is seen there
	point string // the folder, without the first slash
}

// findMount returns the first mount of a type that has an option (unless that is empty), or nil.
func findMount(mountinfo []byte, kind, option string) *mount {
	for line := range strings.Lines(string(mountinfo)) {
		// id parent device ROOT POINT options [optional…] - TYPE source OPTIONS
		before, after, ok := strings.Cut(line, " - ")
		head, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(head) < 5 || len(tail) < 3 || tail[0] != kind {
			continue
		}
		if option == "" || slices.Contains(strings.Split(tail[2], ","), option) {
			return &mount{group: plain(head[3]), point: strings.TrimPrefix(plain(head[4]), "/")}
		}
	}
	return nil
}

// plain undoes the way in which the kernel writes blanks in paths.
func plain(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

// folder returns the folder of a group. If the group is not below the mounted one, it is not visible:
// then folder returns the mounted one, which in a container is usually the process's own
// group.
func (m *mount) folder(group string) string {
	below, ok := strings.CutPrefix(group, strings.TrimSuffix(m.group, "/"))
	if !ok || below != "" && below[0] != '/' || strings.Contains(below+"/", "/../") {
		return m.point
	}
	return path.Join(m.point, below)
}
