// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/gizmo-ebpf/gizmo/internal/procstat"
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
	stat, err := procstat.Read(dir)
	if err != nil {
		return p, err
	}
	p.began = stat.Began
	if p.mountNS, err = readNamespace(dir + "/ns/mnt"); err != nil {
		return p, err
	}
	if p.netNS, err = readNamespace(dir + "/ns/net"); err != nil {
		return p, err
	}
	if p.cgroup, err = readCgroup(dir); err != nil {
		return p, err
	}
	stat, err = procstat.Read(dir)
	if err == nil && stat.Began != p.began {
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
