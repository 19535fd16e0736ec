// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/internal/builtin"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// recording is the stage that writes all batches to a file, before any other touches them.
type recording struct {
	file *os.File
	w    *wire.Writer
	done chan struct{}
}

// errRecord is wrapped by all errors about the recording.
var errRecord = errors.New("--record")

// flushInterval bounds what a recording lacks if the program is killed.
const flushInterval = time.Second

// openRecording starts a recording of the session's sources, whose schemas are as yet without
// added fields.
func openRecording(path, gadgetName string, s *session, host *builtin.Host) (*recording, error) {
	header := wire.Header{Gadget: gadgetName, Gizmo: version, Start: time.Now(), Machine: machine(host)}
	for _, src := range s.sources {
		for _, schema := range src.Schemas() {
			annotations, err := json.Marshal(s.specs[schema.Name])
			if err != nil {
				return nil, err
			}
			header.DataSources = append(header.DataSources, wire.DataSource{Schema: schema.Clone(), Annotations: annotations})
		}
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	w, err := wire.NewWriter(file, header)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", errRecord, err), file.Close())
	}
	host.OnClock = func(offset int64) { _ = w.SetBootOffset(offset) }
	r := &recording{file, w, make(chan struct{})}
	go r.flushAtIntervals()
	return r, nil
}

// flushAtIntervals runs until Close. An error comes again, and is told, at the next batch.
func (r *recording) flushAtIntervals() {
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	for {
		select {
		case <-r.done:
			return
		case <-tick.C:
			_ = r.w.Flush()
		}
	}
}

// maxNames bounds the names of users, and of groups, in a recording: local ones fit, and what a
// directory of a large organisation would add stays out.
const maxNames = 4096

// machine describes this one for the header of a recording.
func machine(host *builtin.Host) wire.Machine {
	m := wire.Machine{
		Arch: host.Env.Arch, BootOffset: host.Env.BootOffset(),
		Users: host.Users.Table(maxNames), Groups: host.Groups.Table(maxNames),
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if n, err := ebpf.PossibleCPU(); err == nil {
		m.CPUs = n
	}
	return m
}

func (r *recording) Extend(*event.Schema) error { return nil }

func (r *recording) Bind(*event.Schema, event.FieldSet) (pipeline.Func, error) {
	return func(b *event.Batch) error {
		if err := r.w.Write(b); err != nil {
			return fmt.Errorf("%w: %w", errRecord, err)
		}
		return nil
	}, nil
}

// Close ends the recording.
func (r *recording) Close() error {
	close(r.done)
	if err := errors.Join(r.w.Close(), r.file.Close()); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	return nil
}
