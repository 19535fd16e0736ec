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

// Row is the row of snapshot_file for a descriptor.
type Row struct {
	Comm    string `json:"comm"`
	PID     int    `json:"pid"`
	TID     int    `json:"tid,omitempty"`
	MntnsID uint64 `json:"mntns_id"`
	FD      int    `json:"fd"`
	Flags   uint64 `json:"flags_raw"`
	Mode    uint32 `json:"mode_raw"`
	// Fields that only the opener knows, and for which file systems may have their own numbers.
	Type  *string `json:"type,omitempty"`
	Path  *string `json:"path,omitempty"`
	Inode uint64  `json:"inode,omitempty"`
}

// describe returns a row for each descriptor of the process, also those that it came with and those
// of Go's runtime.
func (o *opener) describe() []Row {
	self := workload.Must(workload.Self())
	var rows []Row
	for _, fd := range descriptors() {
		row := o.rows[fd]
		row.Comm, row.PID, row.TID, row.MntnsID = self.Comm, self.PID, self.TID, self.MntnsID
		row.FD = fd
		row.askKernel()
		rows = append(rows, row)
	}
	return rows
}

// descriptors lists the descriptors of the process, without the one for reading the list.
func descriptors() []int {
	var fds []int
	for _, e := range workload.Must(os.ReadDir("/proc/self/fd")) {
		if _, err := os.Readlink("/proc/self/fd/" + e.Name()); !errors.Is(err, fs.ErrNotExist) {
			fds = append(fds, workload.Must(strconv.Atoi(e.Name())))
		}
	}
	return fds
}

// askKernel fills in fields from other interfaces of the kernel.
func (r *Row) askKernel() {
	_, flags, _ := strings.Cut(string(workload.Must(os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", r.FD)))), "flags:\t")
	flags, _, _ = strings.Cut(flags, "\n")
	r.Flags = workload.Must(strconv.ParseUint(flags, 8, 64))
	var st unix.Stat_t
	workload.Check("describe a descriptor", unix.Fstat(r.FD, &st))
	r.Mode = st.Mode
	link := workload.Must(os.Readlink(fmt.Sprintf("/proc/self/fd/%d", r.FD)))
	if !strings.HasPrefix(link, "/") || strings.HasPrefix(link, "/memfd:") {
		r.Inode = st.Ino
	}
}
