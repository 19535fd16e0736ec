// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Row is what snapshot_process has to say of a thread.
type Row struct {
	Comm    string `json:"comm"`
	PID     int    `json:"pid"`
	TID     int    `json:"tid"`
	MntnsID uint64 `json:"mntns_id"`
	Creds   Creds  `json:"creds"`
	Parent  Parent `json:"parent"`
}

// Creds are the real ids.
type Creds struct {
	UID int `json:"uid"`
	GID int `json:"gid"`
}

// Parent is the process that started it.
type Parent struct {
	Comm string `json:"comm"`
	PID  int    `json:"pid"`
}

// rows are those of the process.
func (c *child) rows() ([]Row, error) {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return nil, err
	}
	row := Row{
		Comm:   c.name,
		PID:    c.cmd.Process.Pid,
		Creds:  Creds{UID: c.role.uid, GID: c.role.gid},
		Parent: Parent{Comm: strings.TrimSpace(string(comm)), PID: os.Getpid()},
	}
	if !c.role.zombie { // which has given up its namespaces
		var st unix.Stat_t
		if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/mnt", row.PID), &st); err != nil {
			return nil, err
		}
		row.MntnsID = st.Ino
	}
	var rows []Row
	for _, row.TID = range c.threads {
		rows = append(rows, row)
	}
	return rows, nil
}
