// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package semtype knows the meaning of the C types of gadget records: a gadget_errno of 2 reads
// ENOENT, and a gadget_timestamp is a time. Each type has a file with its code and a row in
// the table that [Types] returns; documentation and tests use that row.
//
// A meaning is rendered, not stored: a type adds fields to the schema whose Text is computed from
// the record's bytes at the moment of output, so a field that no output shows costs nothing.
package semtype

//go:generate go run ./internal/gentables -o tables_generated.go
//go:generate go test -run ^TestTypesPage$ -update .

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/gizmo-ebpf/gizmo/clock"
	"github.com/gizmo-ebpf/gizmo/event"
)

// Env holds the facts that meanings depend on besides the bytes of a record. A replay passes the recording's
// facts about the machine that was traced.
type Env struct {
	// Arch is the traced machine's architecture in Go's spelling: "amd64", "arm64".
	Arch string
	// Clock converts times since boot to Unix times. It may get further steps while events are written. Nil: both are
	// the same.
	Clock *clock.History
	// Users and Groups name the ids of the traced machine. Nil: ids have no names.
	Users, Groups Names
	// Log gets a message at level debug for each field of an enriched type to which no field was added. Nil: no log.
	Log *slog.Logger

	// enums are the names of enums that fields of several data sources share.
	enums map[enumKey]*enumNames
	sets  map[enumKey]bitNames
}

// Names finds the name of a user or group id. Append is called for every id that is written, so it
// must not allocate.
type Names interface {
	// Append appends the name of id to dst. An id without a name appends nothing.
	Append(dst []byte, id uint32) []byte
}

// Type is one row of the table: a C type and its meaning.
type Type struct {
	// CName is the typedef, or the struct without its keyword: "gadget_errno".
	CName string
	// On is the base type in C, for documentation: "__u32", or "struct".
	On string
	// Doc is one sentence for gadget authors.
	Doc string
	// Adds describes the added text, or the fields that the type adds, for gadget authors. Empty for
	// types that have only annotations.
	Adds string
	// Template names the annotation template that fields of this type take by themselves.
	Template string
	// AddedTemplate names the template of the added fields.
	AddedTemplate string
	// Annotations are those that only fields of this type know, for documentation.
	Annotations []Annotation
	// Later says that a stage adds the fields, which finds their values out while the run goes on.
	Later bool
	// Example shows the type at work; nil where Adds says it all.
	Example *Example
	// Extend adds fields to s for field i, which has this type. It may also set defaults for how the field
	// and its members are shown; annotations of the author and the user override them. Nil for types
	// that have only annotations.
	Extend func(s *event.Schema, i int, env *Env)
}

// addsLater reports whether a stage adds a field that annotations can name.
func (t *Type) addsLater() bool { return t.Later && len(t.Annotations) > 0 }

// Annotation is an annotation's key and the meaning of its value.
type Annotation struct{ Key, Doc string }

// Example is a value of the record and the text of the field that is added for it.
type Example struct {
	// Field is the name of the added field; the record's is the same with "_raw".
	Field string
	Raw   uint64
	Text  string
}

// Annotator gives fields their annotations: first those of the named template (an empty name
// means none), then those of the gadget's author and the user, which override them. It does not change
// other annotations, and it may be called more than once for the same field.
type Annotator interface {
	Annotate(f *event.Field, template string) error
}

// Apply annotates all fields of s and adds the fields that their types give rise to. Calls with the same env must not be concurrent.
func Apply(s *event.Schema, types []Type, env *Env, ann Annotator) error {
	rows := make(map[string]*Type, len(types))
	for i := range types {
		rows[types[i].CName] = &types[i]
	}
	for i, n := 0, len(s.Fields); i < n; i++ {
		if err := applyField(s, i, typeOf(&s.Fields[i], rows), env, ann); err != nil {
			return err
		}
	}
	return nil
}

func applyField(s *event.Schema, i int, t *Type, env *Env, ann Annotator) error {
	if err := ann.Annotate(&s.Fields[i], t.Template); err != nil {
		return err
	}
	if t.Extend == nil {
		if f := &s.Fields[i]; f.Ann.Target != "" {
			return targetError(s, f)
		}
		return nil
	}
	before := len(s.Fields)
	t.Extend(s, i, env)
	for j := before; j < len(s.Fields); j++ {
		if err := ann.Annotate(&s.Fields[j], t.AddedTemplate); err != nil {
			return fmt.Errorf("added field %q: %w", s.Fields[j].Name, err)
		}
	}
	f := &s.Fields[i] // only now: Extend may have moved the fields
	if len(s.Fields) == before && !t.addsLater() {
		if f.Ann.Target != "" {
			return targetError(s, f)
		}
		if other := takenBy(s, f); other != nil {
			return &FieldError{other.Name, fmt.Errorf("its text cannot become the field %q, which has the text of the field %q; give the target another name",
				sibling(other, other.Ann.Target), f.Name)}
		}
	}
	// Once more, so that annotations of the author or the user override defaults of the type.
	return ann.Annotate(f, t.Template)
}

// takenBy returns the other field with the same target as f; nil if there is none.
func takenBy(s *event.Schema, f *event.Field) *event.Field {
	name, ok := target(f)
	if !ok {
		return nil
	}
	for i := range s.Fields {
		if g := &s.Fields[i]; !g.Added && g.Ann.Target != "" && g != f && sibling(g, g.Ann.Target) == name {
			return g
		}
	}
	return nil
}

// FieldError is an error in the annotations of a field.
type FieldError struct {
	Field string
	Err   error
}

// Error names the field first.
func (e *FieldError) Error() string { return fmt.Sprintf("field %q: %v", e.Field, e.Err) }

// Unwrap returns the error without the field.
func (e *FieldError) Unwrap() error { return e.Err }

// targetError is the error about a field whose annotations name an added field that its type cannot add.
func targetError(s *event.Schema, f *event.Field) error {
	name, _ := target(f)
	if _, taken := s.Lookup(name); taken {
		return &FieldError{f.Name, fmt.Errorf("its text cannot become the field %q, which exists already; give the target another name", name)}
	}
	return &FieldError{f.Name, fmt.Errorf("its type adds no field, so none can be named %q", name)}
}

// typeOf returns the row of the outermost of the field's types that has a row, or the row of enums, or
// an empty one.
func typeOf(f *event.Field, rows map[string]*Type) *Type {
	if f.Rest && (f.Content != "" || len(f.Texts) > 0) {
		t := trailingType()
		return &t
	}
	for _, name := range f.Types {
		if t, ok := rows[name]; ok {
			return t
		}
	}
	if f.Enum != nil {
		return &Type{Extend: extendEnum}
	}
	return &Type{}
}

// target returns the full name of the field that an enriched type adds for f: the annotation's, or
// the field's own without its suffix "_raw". With neither there is nothing to add.
func target(f *event.Field) (string, bool) {
	if f.Ann.Target != "" {
		return sibling(f, f.Ann.Target), true
	}
	if base, ok := strings.CutSuffix(f.Base(), "_raw"); ok && base != "" {
		return sibling(f, base), true
	}
	return "", false
}

// sibling returns the full name of a field called base beside f.
func sibling(f *event.Field, base string) string {
	return f.Name[:len(f.Name)-len(f.Base())] + base
}
