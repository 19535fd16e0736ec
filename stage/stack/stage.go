// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package stack has the stage that names the stacks of events: from the ids that programs put into events to columns with the functions.
package stack

import (
	"slices"
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/symbol/resolve"
)

// The C types of the fields with stacks.
const (
	kernelType = "gadget_kernel_stack"
	userType   = "gadget_user_stack"
)

// Source has the addresses of a gadget's stacks by their ids. It may be asked from several goroutines at once.
type Source interface {
	// Append appends the addresses of a stack to dst. It says whether they are of a process, and whether there is such a stack.
	Append(dst []uint64, id uint32) (addresses []uint64, user, ok bool)
}

// Resolver makes stacks of addresses. *resolve.Resolver is one.
type Resolver interface {
	// Kernel and User return stacks that do not change any more. They keep the addresses.
	Kernel(addresses []uint64) *symbol.Stack
	User(m resolve.Moment, addresses []uint64) *symbol.Stack
}

// Options say what the stage does.
type Options struct {
	Resolver Resolver
	// Source returns the stacks of a data source's gadget; nil: it has none. It is called when the stage is bound.
	Source func(id event.SourceID) Source
	// Users says whether the programs of a data source collect stacks of processes; nil: yes.
	Users func(id event.SourceID) bool
	// BuildIDs says whether a data source shows build ids.
	BuildIDs func(id event.SourceID) bool
	// Namespace is the inode of gizmo's own pid namespace; 0: unknown.
	Namespace uint32
}

// Stage fills the columns of stacks. It is a [pipeline.Stage].
type Stage struct {
	options Options
	columns map[*event.Schema][]*column
	kernel  bool
	users   bool
}

// New returns the stage.
func New(o Options) *Stage {
	return &Stage{options: o, columns: make(map[*event.Schema][]*column)}
}

// HasStacks reports whether a data source has a field with a stack.
func HasStacks(s *event.Schema) bool {
	hasText := func(f event.Field) bool { _, ok := textOf(&f); return ok }
	return HasUserStacks(s) || slices.ContainsFunc(s.Fields, hasText)
}

// HasUserStacks reports whether a data source has a field with a stack of a process.
func HasUserStacks(s *event.Schema) bool {
	return slices.ContainsFunc(s.Fields, isUserStack)
}

func isUserStack(f event.Field) bool { return f.HasType(userType) && f.Kind == event.Struct }

// FieldNames returns the names of the fields that the stage adds to a data source.
func FieldNames(s *event.Schema) (names []string) {
	copied := s.Clone()
	before := len(copied.Fields)
	_ = New(Options{}).Extend(copied)
	for i := before; i < len(copied.Fields); i++ {
		names = append(names, copied.Fields[i].Name)
	}
	return names
}

// Extend adds the fields of stacks to a data source. A field of the gadget with the same name stays unchanged.
func (st *Stage) Extend(s *event.Schema) error {
	for i, n := 0, len(s.Fields); i < n; i++ {
		f := s.Fields[i]
		switch {
		case f.Added:
		case isUserStack(f):
			st.addUser(s, i)
		default:
			if name, ok := textOf(&f); ok {
				st.addKernel(s, i, name)
			}
		}
	}
	return nil
}

// textOf returns the name of the field with the text of a kernel stack: what the annotation says, or the field's own name without "_raw".
func textOf(f *event.Field) (name string, ok bool) {
	if !f.HasType(kernelType) || f.Kind != event.Uint || f.Size != 4 || f.Count > 0 {
		return "", false
	}
	base := f.Base()
	above := f.Name[:len(f.Name)-len(base)]
	if f.Ann.Target != "" {
		return above + f.Ann.Target, true
	}
	short, ok := strings.CutSuffix(base, "_raw")
	return above + short, ok
}

func (st *Stage) addKernel(s *event.Schema, i int, name string) {
	if _, taken := s.Lookup(name); taken {
		return
	}
	c := newColumn(&st.options)
	f := &s.Fields[i]
	c.id = f.Off
	c.column = s.AddColumn(event.Field{
		Name: name, Kind: event.String, Parent: f.Parent, Table: symbol.NewText(&c.stacks, symbol.Symbols, keptTexts),
		Ann: event.Annotations{Description: f.Ann.Description},
	})
	st.columns[s] = append(st.columns[s], c)
}

// The fields of a stack of a process, beside the members of its struct.
func userFields() []struct {
	name   string
	format symbol.Format
	doc    string
} {
	return []struct {
		name   string
		format symbol.Format
		doc    string
	}{
		{"addresses", symbol.Addresses, "The addresses in the memory of the process, the innermost first."},
		{"symbols", symbol.Symbols, "The functions, the innermost first."},
		{"buildid", symbol.BuildIDs, "The build id of the file of each function, and the place in the file; empty without collect_build_id."},
	}
}

func (st *Stage) addUser(s *event.Schema, i int) {
	c := newColumn(&st.options)
	if !c.readUser(s, i) {
		return
	}
	above := s.Fields[i].Name + "."
	var fields []event.Field
	for _, f := range userFields() {
		name := above + f.name
		if _, taken := s.Lookup(name); taken {
			continue
		}
		field := event.Field{Name: name, Kind: event.String, Parent: i, Ann: event.Annotations{Description: f.doc}}
		field.Ann.Columns.Hidden = true
		field.Table = symbol.NewText(&c.stacks, f.format, keptTexts)
		if b := st.options.BuildIDs; f.format == symbol.BuildIDs && (b == nil || !b(s.ID())) {
			field.Table = symbol.NoText{}
		}
		fields = append(fields, field)
	}
	if len(fields) == 0 {
		return
	}
	c.column = s.AddColumn(fields...)
	st.columns[s] = append(st.columns[s], c)
}

// Restyle shows the fields of stacks in a schema from a recording as Extend shows those of a live run.
func Restyle(s *event.Schema) {
	for i := range s.Fields {
		f := &s.Fields[i]
		if _, ok := f.Table.(*symbol.Text); !ok {
			continue
		}
		for _, u := range userFields() {
			if f.Base() == u.name && f.Parent != event.NoParent {
				f.Ann.Columns.Hidden, f.Ann.Description = true, u.doc
			}
		}
	}
}

// Reads implements [pipeline.Stage].
func (st *Stage) Reads(*event.Schema) (event.FieldSet, error) { return event.FieldSet{}, nil }

// Bind implements [pipeline.Stage]. It finds nothing out about stacks that no sink or stage reads.
func (st *Stage) Bind(s *event.Schema, need event.FieldSet) (pipeline.Func, error) {
	var wanted []*column
	for _, c := range st.columns[s] {
		if !s.ReadsColumn(c.column, need) {
			continue
		}
		if users := st.options.Users; c.user && users != nil && !users(s.ID()) {
			continue
		}
		if c.source = st.options.Source(s.ID()); c.source == nil {
			continue
		}
		st.users, st.kernel = st.users || c.user, st.kernel || !c.user
		wanted = append(wanted, c)
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	return func(b *event.Batch) error {
		for _, c := range wanted {
			c.fill(b)
		}
		return nil
	}, nil
}

// Wants reports whether a sink or a stage reads stacks of the kernel, and of processes. It is known once the stage is bound.
func (st *Stage) Wants() (kernel, users bool) { return st.kernel, st.users }

// Close implements [pipeline.Stage]. It does not close the resolver, which belongs to the caller.
func (st *Stage) Close() error { return nil }
