// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package container has the stage that finds the container of each event, and removes the events of containers that
// are not selected.
package container

import (
	"encoding/binary"
	"strings"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
)

// The C types of the fields by which the stage finds a container.
const (
	mountType = "gadget_mntns_id"
	netType   = "gadget_netns_id"
	timeType  = "gadget_timestamp"
)

// Options say what the stage does.
type Options struct {
	// Set has the containers of the machine.
	Set *container.Set
	// Selector selects the containers whose events pass; nil: all.
	Selector *container.Selector
	// Host lets events pass that belong to no container.
	Host bool
	// Kubernetes decides which fields are visible columns.
	Kubernetes bool
}

// Stage fills the columns of containers. It is a [pipeline.Stage].
type Stage struct {
	options Options
	columns map[*event.Schema]event.Column
}

// New returns the stage.
func New(o Options) *Stage { return &Stage{options: o, columns: make(map[*event.Schema]event.Column)} }

// Extend adds the fields of containers to data sources that have the id of a mount or network namespace. A field of the
// gadget with the same name stays unchanged.
func (st *Stage) Extend(s *event.Schema) error {
	if !FindsContainers(s) {
		return nil
	}
	shown := shownIn(st.options.Kubernetes)
	st.columns[s] = AddFields(s, st.options.Set, func(f container.Field) bool { return f.Shown == shown })
	return nil
}

// FindsContainers reports whether a data source has a field that says which container an event is of.
func FindsContainers(s *event.Schema) bool {
	return fieldOf(s, mountType) != nil || fieldOf(s, netType) != nil
}

// AddFields adds the fields of the containers of a set to a schema, and returns the column for their handles. shown says
// which are visible columns. A field that the schema already has stays unchanged.
func AddFields(s *event.Schema, set *container.Set, shown func(f container.Field) bool) event.Column {
	parents := make(map[string]int)
	var fields []event.Field
	for i, f := range container.Fields() {
		if _, taken := s.Lookup(f.Name); taken {
			continue
		}
		field := event.Field{Name: f.Name, Kind: f.Kind, Parent: parentOf(s, f.Name, parents), Table: set.Table(i)}
		style(&field, f, shown(f))
		fields = append(fields, field)
	}
	return s.AddColumn(fields...)
}

// parentOf returns the index of the struct that a field is a member of, and adds those that are missing.
func parentOf(s *event.Schema, name string, parents map[string]int) int {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return event.NoParent
	}
	above := name[:dot]
	i, ok := parents[above]
	if !ok {
		i = s.Add(event.Field{Name: above, Kind: event.Struct, Parent: parentOf(s, above, parents)})
		parents[above] = i
	}
	return i
}

// Restyle shows the fields of containers in a schema from a recording as Extend shows those of a live run.
func Restyle(s *event.Schema, kubernetes bool) {
	for i := range s.Fields {
		f := &s.Fields[i]
		if _, ok := f.Column(); !ok {
			continue
		}
		for _, known := range container.Fields() {
			if known.Name == f.Name {
				style(f, known, known.Shown == shownIn(kubernetes))
			}
		}
	}
}

// shownIn returns the environment whose names are visible columns.
func shownIn(kubernetes bool) container.Environment {
	if kubernetes {
		return container.InKubernetes
	}
	return container.OutsideKubernetes
}

// style sets how a field is shown by default.
func style(f *event.Field, known container.Field, shown bool) {
	for _, t := range annotation.Templates() {
		if t.Name == known.Template {
			t.Apply(&f.Ann)
		}
	}
	f.Ann.Description, f.Ann.Columns.Hidden = known.Doc, !shown
}

// fieldOf returns the field with a C type; nil: there is none. A struct has at most one of each namespace type.
func fieldOf(s *event.Schema, ctype string) *event.Field {
	for i := range s.Fields {
		if f := &s.Fields[i]; !f.Added && f.HasType(ctype) {
			return f
		}
	}
	return nil
}

// Reads implements [pipeline.Stage].
func (st *Stage) Reads(s *event.Schema) (set event.FieldSet, err error) {
	for i := range s.Fields {
		if f := &s.Fields[i]; !f.Added && (f.HasType(mountType) || f.HasType(netType) || f.HasType(timeType)) {
			set.Add(i)
		}
	}
	return set, nil
}

// Bind implements [pipeline.Stage]. If no sink or stage reads a field of a container and all events pass, it looks up nothing.
func (st *Stage) Bind(s *event.Schema, need event.FieldSet) (pipeline.Func, error) {
	f := st.finder(s)
	if f == nil {
		return nil, nil
	}
	f.host, f.selector = st.options.Host, st.options.Selector
	f.selects = !f.host || !f.selector.IsAll()
	if !f.selects && !s.ReadsColumn(f.column, need) {
		return nil, nil
	}
	f.keepRow = func(row int) bool { return f.passes(f.handles[row]) }
	return f.run, nil
}

// Early returns a function that fills the columns of a batch before the stages run, and removes no event. It returns nil
// if need has none of the fields of containers.
func (st *Stage) Early(s *event.Schema, need event.FieldSet) func(b *event.Batch) {
	f := st.finder(s)
	if f == nil || !s.ReadsColumn(f.column, need) {
		return nil
	}
	return func(b *event.Batch) { f.fill(b) }
}

// finder returns what finds the containers of a data source's events; nil: the events do not say.
func (st *Stage) finder(s *event.Schema) *finder {
	column, ok := st.columns[s]
	if !ok {
		return nil
	}
	return &finder{
		column: column, set: st.options.Set, owners: st.options.Set.Finder(),
		mount: numberOf(s, mountType), net: numberOf(s, netType), time: numberOf(s, timeType),
	}
}

// Close implements [pipeline.Stage]. It does not close the set, which belongs to the caller.
func (st *Stage) Close() error { return nil }

// numberReader reads a number of a record.
type numberReader struct {
	*event.Number
	word bool // it is all of 8 bytes
}

// numberOf returns how to read the number of a field; nil: there is no such field.
func numberOf(s *event.Schema, ctype string) *numberReader {
	f := fieldOf(s, ctype)
	if f == nil {
		return nil
	}
	i, _ := s.Lookup(f.Name)
	r, err := s.RecordReader(i)
	if err != nil {
		return nil
	}
	n := r.Number()
	return &numberReader{n, n.Size == 8 && n.BitSize == 0 && n.Form == event.FormUint}
}

func (r *numberReader) read(row []byte) uint64 {
	if r.word {
		return binary.LittleEndian.Uint64(row[r.Off:])
	}
	return r.Uint(row)
}

// finder finds the containers of one data source's events.
type finder struct {
	set              *container.Set
	owners           *container.Finder
	column           event.Column
	mount, net, time *numberReader // nil: there is no such field
	// selects: events may be removed.
	selects  bool
	host     bool
	selector *container.Selector
	// verdicts remembers by handle whether the selector selects the container.
	verdicts []verdict
	// handles are those of the current batch, for keepRow.
	handles []event.Handle
	keepRow func(row int) bool
}

type verdict uint8

const (
	unknown verdict = iota
	passes
	removed
)

// fill sets the container of each event.
func (f *finder) fill(b *event.Batch) []event.Handle {
	handles := f.column.Fill(b)
	if f.owners.FindsNone() {
		return handles
	}
	for i, row := range b.Rows {
		handles[i] = f.find(row)
	}
	return handles
}

func (f *finder) run(b *event.Batch) error {
	handles := f.fill(b)
	if f.selects {
		f.handles = handles
		b.Keep(f.keepRow)
	}
	return nil
}

// find returns the container of an event: by its mount namespace or, if no container has that, by its network
// namespace.
func (f *finder) find(row []byte) (h event.Handle) {
	var at int64
	if f.time != nil {
		at = int64(f.time.read(row))
	}
	if f.mount != nil {
		h = f.owners.Find(f.mount.read(row), at)
	}
	if h == 0 && f.net != nil {
		h = f.owners.FindNet(f.net.read(row), at)
	}
	return h
}

// passes reports whether events with this handle pass.
func (f *finder) passes(h event.Handle) bool {
	if h == 0 {
		return f.host
	}
	if int(h) >= len(f.verdicts) {
		f.verdicts = append(f.verdicts, make([]verdict, int(h)+64-len(f.verdicts))...)
	}
	v := &f.verdicts[h]
	if *v == unknown {
		*v = removed
		if c := f.set.At(h); c != nil && f.selector.Matches(c) {
			*v = passes
		}
	}
	return *v == passes
}
