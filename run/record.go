// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/host"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// recording is the stage that writes all batches to a file, before any other touches them.
type recording struct {
	file *os.File
	// created: the file was not there before.
	created bool
	header  wire.Header
	w       *wire.Writer // nil until begin
	done    chan struct{}
}

// ErrRecord is wrapped by all errors about the recording.
var ErrRecord = errors.New("record")

// recordError makes an error one about the recording.
func recordError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrRecord, err)
}

// flushInterval bounds what a recording lacks if the program is killed.
const flushInterval = time.Second

// openRecording prepares a recording of the run's sources, whose schemas may still get fields. What the file has stays until the recording begins, since a gadget may yet be refused.
func openRecording(ctx context.Context, o *Recording, p *Plan, r *Run) (*recording, error) {
	header := wire.Header{Gizmo: o.Version, Machine: machine(r.host)}
	for _, g := range p.gadgets {
		header.Gadgets = append(header.Gadgets, wire.Gadget{Name: g.name, Reference: cmp.Or(o.Gadget, g.name)})
	}
	for _, src := range r.sources {
		for _, schema := range src.Schemas() {
			annotations, err := json.Marshal(p.specs[schema.ID()])
			if err != nil {
				return nil, recordError(err)
			}
			header.DataSources = append(header.DataSources, wire.DataSource{Schema: schema, Annotations: annotations})
		}
	}
	_, statErr := os.Lstat(o.Path)
	file, err := openWaiting(ctx, o.Path)
	if err != nil {
		return nil, recordError(err)
	}
	created := errors.Is(statErr, fs.ErrNotExist)
	return &recording{file: file, created: created, header: header, done: make(chan struct{})}, nil
}

// openWaiting opens a file for writing. A pipe waits for somebody to read it, as long as ctx lets it.
func openWaiting(ctx context.Context, path string) (*os.File, error) {
	var file *os.File
	opened := make(chan error, 1)
	go func() { // which ends with the program, if nobody ever reads
		var err error
		file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
		opened <- err
	}()
	select {
	case err := <-opened:
		return file, err
	case <-ctx.Done():
		return nil, fmt.Errorf("open %s: interrupted", path)
	}
}

// begin overwrites the file and writes what comes before the first batch.
func (r *recording) begin(h *host.Host) error {
	if err := r.empty(); err != nil {
		return recordError(err)
	}
	r.header.Start, r.header.Machine.BootOffset = time.Now(), h.BootOffset()
	w, err := wire.NewWriter(r.file, r.header)
	if err != nil {
		return recordError(err)
	}
	r.w = w
	go r.flushAtIntervals()
	return nil
}

// empty removes what an ordinary file has. Pipes and devices have nothing to remove.
func (r *recording) empty() error {
	st, err := r.file.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return err
	}
	return r.file.Truncate(0)
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
func machine(h *host.Host) wire.Machine {
	m := wire.Machine{
		Arch: h.Arch(), BootOffset: h.BootOffset(),
		Users: h.Users().Table(maxNames), Groups: h.Groups().Table(maxNames),
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

// Reads names the fields that stages fill: their values are recorded, so that a replay elsewhere shows them, too.
func (r *recording) Reads(s *event.Schema) (event.FieldSet, error) { return wire.Reads(s), nil }

func (r *recording) Bind(*event.Schema, event.FieldSet) (pipeline.Func, error) {
	return func(b *event.Batch) error { return recordError(r.w.Write(b)) }, nil
}

// Close ends the recording. One that has not begun leaves things as they were.
func (r *recording) Close() error {
	close(r.done)
	var errs []error
	switch {
	case r.w != nil:
		errs = append(errs, r.w.Close())
	case r.created:
		errs = append(errs, os.Remove(r.file.Name()))
	}
	return recordError(errors.Join(append(errs, r.file.Close())...))
}
