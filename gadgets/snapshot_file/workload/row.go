// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Row is what snapshot_file has to say of a descriptor.
type Row struct {
	Comm    string `json:"comm"`
	PID     int    `json:"pid"`
	TID     int    `json:"tid,omitempty"`
	MntnsID uint64 `json:"mntns_id"`
	FD      int    `json:"fd"`
	Flags   uint64 `json:"flags_raw"`
	Mode    uint32 `json:"mode_raw"`
	// What only its opener knows, and what file systems may have their own numbers for.
	Type  *string `json:"type,omitempty"`
	Path  *string `json:"path,omitempty"`
	Inode uint64  `json:"inode,omitempty"`
}

// describe returns a row for each descriptor of the process, also those that it came with and those
// of Go's runtime.
func (o *opener) describe() ([]Row, error) {
	self, err := workload.Self()
	if err != nil {
		return nil, err
	}
	fds, err := descriptors()
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, fd := range fds {
		row := o.rows[fd]
		row.Comm, row.PID, row.TID, row.MntnsID = self.Comm, self.PID, self.TID, self.MntnsID
		row.FD = fd
		if err := row.askKernel(); err != nil {
			return nil, fmt.Errorf("descriptor %d: %w", fd, err)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// descriptors lists those that the process has, without the one that reading the list takes.
func descriptors() ([]int, error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	var fds []int
	for _, e := range entries {
		if _, err := os.Readlink("/proc/self/fd/" + e.Name()); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return nil, err
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// askKernel fills in what the kernel tells in other ways.
func (r *Row) askKernel() error {
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", r.FD))
	if err != nil {
		return err
	}
	_, flags, _ := strings.Cut(string(info), "flags:\t")
	flags, _, _ = strings.Cut(flags, "\n")
	if r.Flags, err = strconv.ParseUint(flags, 8, 64); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(r.FD, &st); err != nil {
		return err
	}
	r.Mode = st.Mode
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", r.FD))
	if err != nil {
		return err
	}
	if !strings.HasPrefix(link, "/") || strings.HasPrefix(link, "/memfd:") {
		r.Inode = st.Ino
	}
	return nil
}
