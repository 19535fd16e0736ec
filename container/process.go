// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// process is what the kernel knows about a process.
type process struct {
	mountNS, netNS uint64
	cgroup         cgroup
	began          int64 // nanoseconds since boot
}

// readProcessOf reads what the kernel knows about a process; nothing for the id 0.
func readProcessOf(pid int) (process, error) {
	if pid == 0 {
		return process{}, nil
	}
	return readProcess(strconv.Itoa(pid))
}

// readProcess reads what the kernel knows about the process with this folder in /proc.
func readProcess(name string) (p process, err error) {
	dir := "/proc/" + name
	// The start is read first and last, which shows whether another process got the same id in between.
	if p.began, err = readBegan(dir); err != nil {
		return p, err
	}
	if p.mountNS, err = readNamespace(dir + "/ns/mnt"); err != nil {
		return p, err
	}
	if p.netNS, err = readNamespace(dir + "/ns/net"); err != nil {
		return p, err
	}
	if p.cgroup, err = readCgroup(dir); err != nil {
		return p, err
	}
	began, err := readBegan(dir)
	if err == nil && began != p.began {
		err = fmt.Errorf("process %s: %w", name, os.ErrNotExist)
	}
	return p, err
}

// readNamespace returns the inode number of a namespace: the link reads "mnt:[4026531841]".
func readNamespace(path string) (uint64, error) {
	link, err := os.Readlink(path)
	if err != nil {
		return 0, err
	}
	_, text, _ := strings.Cut(link, ":[")
	number, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return number, nil
}

// clockTicks is the number of ticks in a second in which /proc counts, on all architectures that gizmo runs on.
const clockTicks = 100

// readBegan returns when a process started: field 22 of its stat. The name in field 2 may hold anything.
func readBegan(dir string) (int64, error) {
	data, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, err
	}
	const startTime = 22 - 3 // counted from the field after the name
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) <= startTime {
		return 0, fmt.Errorf("%s/stat: %d fields", dir, len(fields))
	}
	ticks, err := strconv.ParseInt(string(fields[startTime]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s/stat: %w", dir, err)
	}
	return ticks * (1e9 / clockTicks), nil
}
