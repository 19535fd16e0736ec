// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/container/source"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/host"
	"github.com/gizmo-ebpf/gizmo/internal/outlet"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/run/internal/export"
	"github.com/gizmo-ebpf/gizmo/semtype"
	"github.com/gizmo-ebpf/gizmo/socket"
	"github.com/gizmo-ebpf/gizmo/symbol"
)

// Run is one run of gadgets, or the replay of a recording. Its Run method is called once.
type Run struct {
	options       Options    // with the run's own stacks
	host          *host.Host // nil for a replay
	gadgets       []*gadget.Gadget
	followed      []*gadget.Gadget // those that follow containers
	names         []string         // of the gadgets
	sources       []pipeline.Source
	changes       []*source.Source // those of containers that start and end
	assembly      *assembly
	record        *recording    // nil: none
	recordedLines *symbol.Lines // the lines of source of the recording that is replayed; nil: there is none, or they are not wanted
	filter        *mountFilter  // nil: programs do not filter by container
	sockets       *socket.Leases
	inside        *inContainers // nil: no program is attached in containers
	lost          containerLosses
	ledger        pipeline.Ledger
	unwatch       func() // ends the watch of the clock; nil: there is none
}

// Load loads the gadgets into the kernel. Events come once Run has begun. If the recording goes to a pipe, Load waits
// for a reader until ctx is done. The caller must Close the run.
func (p *Plan) Load(ctx context.Context) (*Run, error) {
	r := &Run{options: p.options, host: p.options.Host}
	r.options.Gadgets = nil // their images take memory for as long as anything refers to them
	if r.host == nil {
		r.host = host.New()
	}
	var err error
	if r.options.stacks, err = p.newStacks(); err != nil {
		return nil, err
	}
	if r.options.export, err = p.newExport(); err != nil {
		return nil, err
	}
	if err := r.load(ctx, p); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Run) load(ctx context.Context, p *Plan) error {
	var err error
	if slices.ContainsFunc(p.gadgets, func(g plannedGadget) bool { return len(g.image.Programs) > 0 }) {
		if r.filter, err = newMountFilter(p.options.Containers, p.options.logger()); err != nil {
			return err
		}
	}
	r.sockets = socket.NewLeases(p.options.Sockets, p.options.logger())
	var types *btf.Cache // a run of one gadget releases the types before it allocates the buffers
	if len(p.gadgets) > 1 {
		types = btf.NewCache()
	}
	if c := p.options.Containers; c != nil {
		r.lost = containerLosses{set: c.Set, log: p.options.logger()}
	}
	for i := range p.gadgets {
		g := &p.gadgets[i]
		if err := r.loadGadget(p, g, types); err != nil {
			return inGadget(g.name, err)
		}
	}
	r.inside = newInContainers(p.options.Containers, r.followed, p.options.logger())
	if rec := p.options.Record; rec != nil {
		var err error
		if r.record, err = openRecording(ctx, rec, p, r); err != nil {
			return err
		}
	}
	err = r.assemble(p.specs, &semtype.Env{
		Arch: r.host.Arch(), Clock: r.host.Clock(), Users: r.host.Users(), Groups: r.host.Groups(), Log: p.options.logger(),
	})
	if err == nil && r.record != nil {
		err = r.record.checkApart(r.assembly.text)
	}
	return err
}

// loadGadget loads a gadget of the plan and makes its sources. Types keeps the kernel's types for the next one; it may be nil.
func (r *Run) loadGadget(p *Plan, g *plannedGadget, types *btf.Cache) error {
	options, err := p.loadOptions(g, types)
	if err != nil {
		return err
	}
	options.LostByMount = r.lost.set != nil
	r.filter.apply(g.image, options)
	if err := r.sockets.Provide(g.image, options); err != nil {
		return err
	}
	followed := p.followsContainers(g)
	if followed {
		p.options.Containers.follow(options)
	}
	r.options.stacks.Prepare(options)
	loaded, err := gadget.Load(g.image, options)
	if err != nil {
		return err
	}
	r.options.stacks.Add(g.name, loaded)
	r.gadgets = append(r.gadgets, loaded)
	r.names = append(r.names, g.name)
	if followed {
		r.followed = append(r.followed, loaded)
	}
	for _, src := range loaded.Sources() {
		for _, s := range src.Schemas() {
			s.Gadget = g.name
		}
		r.sources = append(r.sources, src)
	}
	r.openContainersSource(g)
	return nil
}

// loadOptions returns the options for loading a gadget on this machine.
func (p *Plan) loadOptions(g *plannedGadget, types *btf.Cache) (*gadget.LoadOptions, error) {
	options := g.load
	options.Types = cmp.Or(options.Types, types)
	var err error
	options.Params, err = p.kernelNumbers(options.Params)
	return &options, err
}

// Try finds out whether the kernel accepts the gadgets: it loads and unloads them one by one. It opens no outputs
// and pins nothing.
func (p *Plan) Try() error {
	types := btf.NewCache()
	for i := range p.gadgets {
		g := &p.gadgets[i]
		options, err := p.loadOptions(g, types)
		if err == nil {
			err = gadget.Try(g.image, options)
		}
		if err != nil {
			return inGadget(g.name, err)
		}
	}
	return nil
}

// inGadget says which of several gadgets an error is about.
func inGadget(name string, err error) error {
	if name == "" || err == nil {
		return err
	}
	return fmt.Errorf("gadget %s: %w", name, err)
}

// assemble makes the path from the sources to the sinks.
func (r *Run) assemble(specs specs, env *semtype.Env) error {
	var schemas []*event.Schema
	for _, src := range r.sources {
		schemas = append(schemas, src.Schemas()...)
	}
	var err error
	if r.assembly, err = assemble(&r.options, r.record, specs, schemas, env); err != nil {
		return err
	}
	for i := range r.sources {
		src := r.sources[i]
		if r.host != nil {
			src = followClock(src, r.host)
		}
		if src, err = nameFirst(src, r.assembly.list); err != nil {
			return err
		}
		r.sources[i] = r.assembly.list.streams.Wrap(src)
	}
	return nil
}

// Run attaches the gadgets and moves their events until ctx is done or the sources end. The outputs still get the events that are
// in the buffers then, as long as they take them (see Options.DrainTimeout). The ledger is complete when Run returns.
func (r *Run) Run(ctx context.Context) error {
	ctx, fail := context.WithCancel(ctx)
	defer fail()
	losses := newLossTeller(r.options.OnLoss)
	defer losses.stop()
	out := r.openText(fail)
	defer out.release()
	defer context.AfterFunc(ctx, r.hurry)()
	runner := pipeline.Runner{
		Sources: r.sources,
		Stages:  r.assembly.list.stages,
		Sinks:   r.assembly.sinks,
		Ledger:  &r.ledger,
		OnLoss: func(s *event.Schema, lost []event.Loss) {
			losses.note(s, lost)
			r.assembly.text.noteLost(s, lost)
			r.lost.collect(r.gadgets, r.names)
		},
		Ask:   r.ask,
		Start: r.begin,
		Stop:  r.detach,
	}
	err := runner.Run(ctx)
	r.options.export.End()
	r.assembly.text.stopTicking()
	if err == nil {
		err = r.assembly.text.writeReports()
	}
	r.lost.collect(r.gadgets, r.names)
	r.sockets.Tell()
	if text := r.assembly.text; text != nil && text.profile != nil {
		text.profile.gather()
	}
	var lines *symbol.Lines
	if err == nil {
		lines = r.findLines()
	}
	// Both outputs may have to be given up: their timeouts run at the same time.
	recorded := make(chan error, 1)
	go func() { recorded <- r.endRecording(lines) }()
	err = cmp.Or(err, out.finish())
	return errors.Join(err, <-recorded)
}

// ask tells the gadgets which fields of their data sources anybody reads. A recording has them all.
func (r *Run) ask(s *event.Schema, need event.FieldSet) {
	if r.record != nil {
		for i := range s.Fields {
			need.Add(i)
		}
	}
	for _, g := range r.gadgets {
		g.Ask(s, need)
	}
}

// hurry makes outputs give up after the drain timeout if they take nothing.
func (r *Run) hurry() {
	if text := r.assembly.text; text != nil && text.out != nil {
		text.out.Hurry()
	}
	if r.record != nil {
		r.record.out.Hurry()
	}
}

// textOutput is the path of the text while the run goes on.
type textOutput struct {
	out  *outlet.Outlet // nil: the text does not go to a file
	q    *queue         // nil: the output is never slow
	text *textSink      // nil: there is no text
}

// openText prepares the text output; failed is called when it takes no more.
func (r *Run) openText(failed func()) (o textOutput) {
	text := r.assembly.text
	if text == nil {
		return o
	}
	o.text = text
	f, _ := fileOf(text.w)
	if f == nil {
		return o
	}
	o.out = outlet.New(f, r.options.drainTimeout())
	text.out = o.out
	if !isSlow(f) || text.profile != nil {
		text.w = o.out
		return o
	}
	o.q = newQueue(o.out, r.options.Text.Block, failed)
	text.q = o.q
	for i := range r.assembly.sinks {
		if r.assembly.sinks[i].Sink == pipeline.Sink(text) {
			r.assembly.sinks[i].Sink = lateText{text}
		}
	}
	return o
}

// finish writes the text that still waits.
func (o *textOutput) finish() error {
	switch {
	case o.q != nil:
		return o.q.close()
	case o.text != nil && o.text.profile != nil:
		return o.text.profile.finish(o.text.w)
	}
	return nil
}

func (o *textOutput) release() {
	if o.out != nil {
		_ = o.out.Close()
	}
}

// endRecording ends the recording and counts the rows that it lacks. Only a recording that lacks rows has an account.
func (r *Run) endRecording(lines *symbol.Lines) error {
	if r.record == nil {
		return nil
	}
	err := r.record.end(lines)
	for _, a := range r.record.ledger.Accounts() {
		losses := a.Losses()
		if slices.ContainsFunc(losses, func(l event.Loss) bool { return l.Cause == event.OutputSlow }) {
			account := r.ledger.Account(a.Source(), RecordName)
			account.Deliver(a.Totals().Delivered)
			account.Lose(losses...)
		}
	}
	return err
}

// begin attaches the gadgets and then begins the recording. It overwrites an older recording, and writes the header, only when all
// gadgets are attached; events wait meanwhile.
func (r *Run) begin() error {
	if r.host != nil {
		r.unwatch = r.host.Watch() // before the first event
	}
	if r.record != nil {
		r.record.warnOfReaders() // before attaching: the first message opens the file of the time zone
	}
	if err := r.sockets.Start(); err != nil {
		return err
	}
	if err := r.options.stacks.Start(); err != nil {
		return err
	}
	for i, g := range r.gadgets {
		if err := g.Attach(); err != nil {
			return inGadget(r.names[i], err)
		}
	}
	if r.inside != nil {
		r.inside.start(r.options.Containers.Set)
	}
	for _, src := range r.changes {
		src.Start()
	}
	if r.record != nil {
		if err := r.record.begin(r.host); err != nil {
			return err
		}
	}
	r.options.export.Start(append(export.Ledger(&r.ledger), export.Programs(r.statsByGadget))...)
	if attached := r.options.OnAttached; attached != nil {
		if err := attached(); err != nil {
			return err
		}
	}
	if r.assembly.text != nil {
		return r.assembly.text.begin()
	}
	return nil
}

func (r *Run) detach() {
	r.hurry()
	r.inside.end()
	for _, g := range r.gadgets {
		_ = g.Detach() // Close reports errors
	}
	r.inside.wait()
	if text := r.assembly.text; text != nil && text.profile != nil {
		text.profile.end()
	}
}

// Ledger returns the account of the run. It may be read while the run goes on.
func (r *Run) Ledger() *pipeline.Ledger { return &r.ledger }

// DetachWritesFiles reports whether the end of the run may have to open a file for writing, to detach its gadgets.
func (r *Run) DetachWritesFiles() bool {
	return slices.ContainsFunc(r.gadgets, (*gadget.Gadget).DetachWritesFiles)
}

// WaitsForEvents reports whether some data source of a gadget has events when something happens, rather than arrays.
func (r *Run) WaitsForEvents() bool {
	hasEvents := func(src pipeline.Source) bool {
		return slices.ContainsFunc(src.Schemas(), func(s *event.Schema) bool { return s.Single })
	}
	return slices.ContainsFunc(r.gadgets, func(g *gadget.Gadget) bool { return slices.ContainsFunc(g.Sources(), hasEvents) })
}

// AttachesInContainers reports whether the run attaches programs to the files of containers that start.
func (r *Run) AttachesInContainers() bool {
	return slices.ContainsFunc(r.followed, (*gadget.Gadget).HasFileProbes)
}

// AttachesToPackets reports whether the run attaches programs for packets in the network namespaces of containers that start.
func (r *Run) AttachesToPackets() bool {
	return slices.ContainsFunc(r.followed, (*gadget.Gadget).HasPackets)
}

// FollowsInterfaces reports whether the run attaches programs to network interfaces that come.
func (r *Run) FollowsInterfaces() bool {
	return slices.ContainsFunc(r.gadgets, (*gadget.Gadget).FollowsInterfaces)
}

// DetachChangesInterfaces reports whether the end of the run has to remove filters from network interfaces.
func (r *Run) DetachChangesInterfaces() bool {
	return slices.ContainsFunc(r.gadgets, (*gadget.Gadget).DetachChangesInterfaces)
}

// EntersNetworks reports whether the run enters network namespaces of containers, to read iterators or to attach programs for packets there.
func (r *Run) EntersNetworks() bool {
	return r.AttachesToPackets() || slices.ContainsFunc(r.followed, (*gadget.Gadget).ShowsNetworks)
}

// Needs returns the privileges that the run needs for built-in data sources. It is known once the run has begun.
func (r *Run) Needs() (n gadget.Needs) {
	for _, g := range r.gadgets {
		n.Add(g.Needs())
	}
	return n
}

// NamesStacks reports whether the run finds the functions of stacks of the kernel, and of processes, while it goes on. It is known once the
// programs are attached.
func (r *Run) NamesStacks() (kernel, users bool) { return r.options.stacks.Wants() }

// Stats returns the kernel's counts of program runs, in the order of the gadgets.
func (r *Run) Stats() ([]gadget.ProgramStats, error) {
	stats, err := r.statsByGadget()
	var all []gadget.ProgramStats
	for _, name := range r.names {
		all = append(all, stats[name]...)
	}
	return all, err
}

// statsByGadget returns the counts by the gadgets' names, up to the first error.
func (r *Run) statsByGadget() (map[string][]gadget.ProgramStats, error) {
	all := make(map[string][]gadget.ProgramStats)
	for i, g := range r.gadgets {
		stats, err := g.Stats()
		if err != nil {
			return all, err
		}
		all[r.names[i]] = stats
	}
	return all, nil
}

// Close removes everything of the run from the kernel and ends the recording. Run must not be running.
func (r *Run) Close() error {
	if r.unwatch != nil {
		r.unwatch()
	}
	r.options.export.End() // if begin failed
	r.inside.end()         // too
	var errs []error
	if r.assembly != nil {
		for _, stage := range r.assembly.list.stages {
			errs = append(errs, stage.Close())
		}
	} else if r.record != nil {
		errs = append(errs, r.record.Close())
	}
	for _, src := range r.changes {
		errs = append(errs, src.Close())
	}
	for _, g := range r.gadgets {
		errs = append(errs, g.Close())
	}
	errs = append(errs, r.sockets.Close(), r.filter.close(), r.options.stacks.Close())
	return errors.Join(errs...)
}
