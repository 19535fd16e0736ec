// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// cgroup is the control group of a process.
type cgroup struct {
	path string // see Container.Cgroup
	id   uint64 // see Container.CgroupID
}

// cgroupRoot is where the hierarchies of control groups are mounted.
const cgroupRoot = "/sys/fs/cgroup"

// readCgroup returns the control group of a process. If there are several hierarchies, its path is that of the memory controller's,
// because then the process may be in the root of the unified one.
func readCgroup(dir string) (c cgroup, err error) {
	data, err := os.ReadFile(dir + "/cgroup") // a line for each of at most some 15 hierarchies
	if err != nil {
		return c, err
	}
	unified, memory := parseCgroup(data)
	c.path, c.id = unified, cgroupID(unifiedRoot(), unified)
	if memory != "" {
		c.path = memory
		if unified == "/" || unified == "" {
			c.id = cgroupID(cgroupRoot+"/memory", memory)
		}
	}
	return c, nil
}

// parseCgroup reads lines like "5:memory:/docker/ID" and "0::/docker/ID". It returns the paths in the unified hierarchy and in that of
// the memory controller; empty: there is none.
func parseCgroup(data []byte) (unified, memory string) {
	for line := range bytes.Lines(data) {
		parts := strings.SplitN(strings.TrimSuffix(string(line), "\n"), ":", 3)
		switch {
		case len(parts) != 3:
		case parts[1] == "memory":
			memory = parts[2]
		case parts[0] == "0":
			unified = parts[2]
		}
	}
	return unified, memory
}

// unifiedRoot returns where the unified hierarchy is mounted.
func unifiedRoot() string {
	if _, err := os.Stat(cgroupRoot + "/cgroup.controllers"); err == nil {
		return cgroupRoot
	}
	return cgroupRoot + "/unified"
}

// cgroupID returns the id of a control group; 0 if its folder is not to be seen.
func cgroupID(root, path string) uint64 {
	if path == "" || strings.HasPrefix(path, "/..") { // it is outside of gizmo's cgroup namespace
		return 0
	}
	info, err := os.Stat(filepath.Join(root, path))
	if err != nil {
		return 0
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return st.Ino
}
