// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/host"
	"github.com/gizmo-ebpf/gizmo/internal/outlet"
	"github.com/gizmo-ebpf/gizmo/internal/safefile"
	"github.com/gizmo-ebpf/gizmo/internal/uname"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// recording is the stage that writes all batches to a file, before other stages change them.
type recording struct {
	file   *safefile.File
	log    *slog.Logger
	header wire.Header
	out    *outlet.Outlet
	done   chan struct{}       // closed by end
	each   func(*symbol.Stack) // gets each stack; nil: lines of source are not wanted

	mu     sync.Mutex   // guards what follows
	w      *wire.Writer // nil until begin
	clock  *clock.History
	step   clock.Step // the last one that is recorded
	ledger pipeline.Ledger
	// waiting are the rows of each account that the writer has and the file has not.
	waiting map[*pipeline.Account]uint64
	// left: the recording was given up, because the file took nothing for too long.
	left  bool
	ended bool
}

// RecordName is the name of the accounts of a recording, which there are if it was given up.
const RecordName = "record"

// ErrRecord is wrapped by all errors about the recording.
var ErrRecord = errors.New("record")

// recordError wraps an error as one about the recording.
func recordError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrRecord, err)
}

// recordPerm are the permissions of a new recording. It shows what all users of the host did, file names and arguments for
// example, which users cannot see of each other otherwise.
const recordPerm = 0o600

// flushInterval limits how much a recording lacks if the program is killed.
const flushInterval = time.Second

// openRecording prepares a recording of the run's sources, whose schemas may still get fields. What the file has stays until the recording begins, since a gadget may yet be refused.
func openRecording(ctx context.Context, o *Recording, p *Plan, r *Run) (*recording, error) {
	header := wire.Header{Gizmo: o.Version, Machine: machine(r.host)}
	header.Machine.Kubernetes = p.options.Containers != nil && p.options.Containers.Kubernetes
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
	file, err := safefile.CreateWaiting(ctx, o.Path, recordPerm)
	if err != nil {
		return nil, recordError(err)
	}
	var each func(*symbol.Stack)
	if p.options.Lines {
		each = r.options.stacks.NotePlaces
	}
	return &recording{
		each: each,
		file: file, log: p.options.logger(), header: header, done: make(chan struct{}),
		out: outlet.New(file.File, p.options.drainTimeout()), waiting: make(map[*pipeline.Account]uint64),
	}, nil
}

// warnOfReaders warns of an existing file that all users may read. The file keeps its permissions, because its owner may
// want them.
func (r *recording) warnOfReaders() {
	st, err := r.file.Stat()
	if err == nil && r.file.Regular && st.Mode()&0o004 != 0 {
		r.log.Warn("all users may read the recording, because its file existed and keeps its permissions; chmod o-r changes that",
			"file", r.file.Name())
	}
}

// checkApart returns an error if text would go to the file of the recording. Devices such as /dev/null take both.
func (r *recording) checkApart(text *textSink) error {
	if text == nil || text.isSilent() {
		return nil
	}
	out, _ := fileOf(text.w)
	if out == nil {
		return nil
	}
	a, errA := r.file.Stat()
	b, errB := out.Stat()
	if errA != nil || errB != nil || a.Mode()&os.ModeCharDevice != 0 || !os.SameFile(a, b) {
		return nil
	}
	return recordError(fmt.Errorf("%s is where the output goes; name another file, or have no output (-o none)", r.file.Name()))
}

// begin overwrites the file and writes what comes before the first batch.
func (r *recording) begin(h *host.Host) error {
	if err := r.file.Empty(); err != nil {
		return recordError(err)
	}
	// The first step is the offset from before all others: an event from before a recent step may still be in a buffer.
	first := h.Clock().Steps()[0]
	r.header.Start, r.header.Machine.BootOffset = time.Now(), first.Offset
	w, err := wire.NewWriter(recordFile{r}, r.header)
	if err != nil {
		return recordError(err)
	}
	if r.each != nil {
		w.EachStack(r.each)
	}
	r.mu.Lock()
	r.w, r.clock, r.step = w, h.Clock(), first
	r.mu.Unlock()
	go r.flushAtIntervals()
	return nil
}

// flushAtIntervals runs until Close. An error comes again at the next batch, which reports it.
func (r *recording) flushAtIntervals() {
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	for {
		select {
		case <-r.done:
			return
		case <-tick.C:
			r.mu.Lock()
			if !r.ended {
				_ = r.took(r.w.Flush())
			}
			r.mu.Unlock()
		}
	}
}

// maxNames bounds the names of users, and of groups, in a recording: local ones fit, and what a
// directory of a large organisation would add stays out.
const maxNames = 4096

// machine describes this machine for the header of a recording.
func machine(h *host.Host) wire.Machine {
	m := wire.Machine{
		Arch: h.Arch(), Kernel: uname.Release(),
		Users: h.Users().Table(maxNames), Groups: h.Groups().Table(maxNames),
	}
	if n, err := ebpf.PossibleCPU(); err == nil {
		m.CPUs = n
	}
	return m
}

func (r *recording) Extend(*event.Schema) error { return nil }

// Reads names the fields that stages fill: their values are recorded, so that a replay elsewhere shows them, too.
func (r *recording) Reads(s *event.Schema) (event.FieldSet, error) { return wire.Reads(s), nil }

// Bind implements pipeline.Stage. A recording that was given up lets all pass.
func (r *recording) Bind(s *event.Schema, _ event.FieldSet) (pipeline.Func, error) {
	account := r.ledger.Account(s.ID(), RecordName)
	return func(b *event.Batch) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		account.Lose(b.Lost...)
		r.waiting[account] += uint64(len(b.Rows))
		if r.left {
			r.bookWaiting()
			return nil
		}
		r.recordSteps()
		return r.took(r.w.Write(b))
	}, nil
}

// recordSteps records the steps of the clock that are not recorded yet. It is called with r.mu held. If the writer fails, its
// next call returns the error again, and the run reports it then.
func (r *recording) recordSteps() {
	if r.clock.Last() == r.step {
		return
	}
	for _, step := range r.clock.Steps() {
		if step.Boot > r.step.Boot {
			_ = r.w.AddStep(step)
			r.step = step
		}
	}
}

// recordFile is the file of a recording. Frames that it has written completely count as delivered.
type recordFile struct{ r *recording }

// Write implements io.Writer. It is called with r.mu held, except for the header.
func (f recordFile) Write(p []byte) (int, error) {
	n, err := f.r.out.Write(p)
	if err == nil {
		f.r.bookWaiting()
	}
	return n, err
}

// took handles the result of a call of the writer.
func (r *recording) took(err error) error {
	if errors.Is(err, outlet.ErrGivenUp) {
		r.left = true
		r.bookWaiting()
		return nil
	}
	return recordError(err)
}

// bookWaiting counts the rows that wait: as delivered, or as lost if the recording was given up.
func (r *recording) bookWaiting() {
	for account, rows := range r.waiting {
		switch {
		case rows == 0:
			continue
		case r.left:
			account.Lose(event.Loss{CPU: event.NoCPU, Cause: event.OutputSlow, Count: rows})
		default:
			account.Deliver(rows)
		}
		r.waiting[account] = 0
	}
}

// end writes the end of the recording, once. lines may be nil.
func (r *recording) end(lines *symbol.Lines) error {
	close(r.done)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.w == nil {
		return nil
	}
	r.recordSteps()
	if lines != nil {
		complete, err := r.w.AddLines(lines)
		if err = r.took(err); err != nil {
			return err
		}
		if !complete && !r.left {
			r.log.Warn("lines of source are missing in the recording, which has no room for all")
		}
	}
	return r.took(r.w.Close())
}

// Close releases the file, after it has ended the recording if need be. A recording that has not begun
// leaves things as they were.
func (r *recording) Close() error {
	var err error
	if !r.ended {
		r.out.Hurry()
		err = r.end(nil)
	}
	release := r.file.Close
	if r.w == nil {
		release = r.file.Discard
	}
	return errors.Join(err, recordError(errors.Join(r.out.Close(), release())))
}
