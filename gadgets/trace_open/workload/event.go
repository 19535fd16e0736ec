// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path"
	"strings"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Event is what trace_open has to say of a call, as far as it can be known beforehand.
type Event struct {
	Proc           workload.Proc `json:"proc"`
	Error          string        `json:"error"`
	ErrorRaw       uint32        `json:"error_raw"`
	FD             uint32        `json:"fd"`
	FlagsRaw       uint32        `json:"flags_raw"`
	ModeRaw        uint32        `json:"mode_raw"`
	Fname          string        `json:"fname"`
	FnameTruncated bool          `json:"fname_truncated"`
	Fpath          string        `json:"fpath"`
}

// What the record has room for, without the terminating zero.
const (
	maxFname = 511
	maxFpath = 511
	cutMark  = "..."
)

func (e *Event) setFname(name string) {
	e.FnameTruncated = len(name) > maxFname
	e.Fname = name[:min(len(name), maxFname)]
}

// setFpath leaves out as many directories at the beginning as do not fit, with the mark for them.
func (e *Event) setFpath(p string) {
	if len(p) <= maxFpath-len(cutMark) {
		e.Fpath = p
		return
	}
	end := ""
	for dir := p; ; {
		var base string
		dir, base = path.Split(strings.TrimSuffix(dir, "/"))
		if len(end)+1+len(base) > maxFpath-len(cutMark) {
			break
		}
		end = "/" + base + end
	}
	e.Fpath = cutMark + end
}
