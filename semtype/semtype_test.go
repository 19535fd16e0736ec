// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

func TestApplyAdds(t *testing.T) {
	t.Parallel()
	rename := func(a *event.Annotations) { a.Target = "why" }
	for _, tt := range []struct {
		name, field string
		say         func(*event.Annotations)
		added       string // empty: nothing
		rawHidden   bool
	}{
		{"suffix", "error_raw", nil, "error", true},
		{"target", "error_raw", rename, "why", true},
		{"target without suffix", "error", rename, "why", true},
		{"neither", "error", nil, "", false},
		{"nothing but the suffix", "_raw", nil, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := layout(scalar(tt.field, "gadget_errno", event.Uint, 4))
			apply(t, s, testEnv(), annotations{fields: map[string]func(*event.Annotations){tt.field: tt.say}})
			if got := s.Fields[0].Ann.Columns.Hidden; got != tt.rawHidden {
				t.Errorf("raw field hidden: %v", got)
			}
			if tt.added == "" {
				if len(s.Fields) != 1 {
					t.Errorf("added %+v", s.Fields[1])
				}
				return
			}
			if f := field(t, s, tt.added); !f.Added || f.Kind != event.String || f.Ann.Columns.Hidden {
				t.Errorf("added %+v", f)
			}
		})
	}
}

func TestApplySaysWhyNothingIsAdded(t *testing.T) {
	t.Parallel()
	array := scalar("errors_raw", "gadget_errno", event.Uint, 8)
	array.Count = 2
	taken := scalar("error", "int", event.Int, 4)
	for _, tt := range []struct {
		name   string
		fields []event.Field
		want   string
	}{
		{"no name", []event.Field{scalar("error", "gadget_errno", event.Uint, 4)}, "_raw"},
		{"array", []event.Field{array}, "single integer"},
		{"too wide", []event.Field{scalar("error_raw", "gadget_errno", event.Uint, 16)}, "single integer"},
		{"bytes", []event.Field{scalar("error_raw", "gadget_errno", event.Bytes, 4)}, "single integer"},
		{"name is taken", []event.Field{scalar("error_raw", "gadget_errno", event.Uint, 4), taken}, "already"},
		{"endpoint without members", []event.Field{structure("src", "gadget_l4endpoint_t", -1)}, "lacks"},
		{"address without members", []event.Field{structure("src", "gadget_l3endpoint_t", -1)}, "lacks"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			env := testEnv()
			env.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			s := layout(tt.fields...)
			apply(t, s, env, annotations{})
			if len(s.Fields) != len(tt.fields) {
				t.Errorf("%d fields were added", len(s.Fields)-len(tt.fields))
			}
			if s.Fields[0].Text != nil || s.Fields[0].Ann.Columns.Hidden {
				t.Errorf("the field changed: %+v", s.Fields[0])
			}
			if !strings.Contains(log.String(), tt.want) || !strings.Contains(log.String(), tt.fields[0].Name) {
				t.Errorf("log %q, want %q", log.String(), tt.want)
			}
		})
	}
}

// A name for a field that will not be added is a mistake of the author's, or the user's.
func TestApplyRefusesTargets(t *testing.T) {
	t.Parallel()
	rename := func(a *event.Annotations) { a.Target = "other" }
	for _, tt := range []struct {
		name   string
		fields []event.Field
		want   string
	}{
		{"taken", []event.Field{scalar("error_raw", "gadget_errno", event.Uint, 4), scalar("other", "int", event.Int, 4)},
			`field "error_raw": its text cannot become the field "other", which exists already; give the target another name`},
		{"that of another", []event.Field{scalar("error_raw", "gadget_errno", event.Uint, 4), scalar("other_raw", "gadget_signal", event.Uint, 4)},
			`field "error_raw": its text cannot become the field "other", which has the text of the field "other_raw"; give the target another name`},
		{"no such type", []event.Field{scalar("n", "int", event.Int, 4)}, `field "n": its type adds no field, so none can be named "other"`},
		{"type without text", []event.Field{scalar("pid", "gadget_pid", event.Uint, 4)}, `field "pid": its type adds no field, so none can be named "other"`},
		{"struct", []event.Field{structure("stack", "gadget_user_stack", -1)}, `field "stack": its type adds no field, so none can be named "other"`},
	} {
		ann := annotations{fields: map[string]func(*event.Annotations){tt.fields[0].Name: rename}}
		if err := Apply(layout(tt.fields...), Types(), testEnv(), ann); fmt.Sprint(err) != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestStacksAreHidden(t *testing.T) {
	t.Parallel()
	id := scalar("ustack.stack_id", "__u32", event.Uint, 4)
	id.Parent = 1
	s := layout(scalar("kstack_raw", "gadget_kernel_stack", event.Uint, 4), structure("ustack", "gadget_user_stack", -1), id,
		scalar("kstack", "gadget_kernel_stack", event.Uint, 4))
	apply(t, s, testEnv(), annotations{})
	if got := columns(s, false); !slices.Equal(got, []string{"ustack", "kstack"}) {
		t.Errorf("shown: %q", got)
	}
}

// Members of a struct with its own text are shown if the author or the user wants them.
func TestEndpointMembersShown(t *testing.T) {
	t.Parallel()
	show := func(a *event.Annotations) { a.Columns.Hidden = false }
	s := layout(everythingOfEndpoint()...)
	apply(t, s, testEnv(), annotations{fields: map[string]func(*event.Annotations){"src.port": show, "src.addr": show}})
	if got := columns(s, false); !slices.Contains(got, "src.port") || !slices.Contains(got, "src.addr") || slices.Contains(got, "src.version") {
		t.Errorf("shown: %q", got)
	}
}

func everythingOfEndpoint() []event.Field {
	within := func(f event.Field) event.Field { f.Parent = 0; return f }
	raw := within(scalar("src.addr_raw", "gadget_ip_addr_t", event.Bytes, 16))
	return []event.Field{structure("src", "gadget_l4endpoint_t", -1), raw,
		within(scalar("src.port", "__u16", event.Uint, 2)), within(scalar("src.proto", "__u16", event.Uint, 2)),
		within(scalar("src.version", "__u8", event.Uint, 1))}
}

func structure(name, ctype string, parent int) event.Field {
	return event.Field{Name: name, Kind: event.Struct, Types: []string{ctype}, Parent: parent}
}

func TestApplyAnnotations(t *testing.T) {
	t.Parallel()
	s := layout(scalar("ts_raw", "gadget_timestamp", event.Uint, 8), scalar("n", "int", event.Int, 4))
	apply(t, s, testEnv(), annotations{
		templates: map[string]func(*event.Annotations){
			"timestamp": func(a *event.Annotations) { a.Columns.Width, a.Columns.Hidden = 35, true },
		},
		fields: map[string]func(*event.Annotations){
			"ts_raw": func(a *event.Annotations) { a.Columns.Hidden, a.Description = false, "When it was." },
			"n":      func(a *event.Annotations) { a.Columns.Width = 3 },
		},
	})
	if f := field(t, s, "ts_raw"); f.Ann.Columns.Hidden || f.Ann.Columns.Width != 35 {
		t.Errorf("the author wants the raw field shown: %+v", f.Ann)
	}
	if f := field(t, s, "ts"); !f.Ann.Columns.Hidden || f.Ann.Columns.Width != 35 || f.Ann.Description != "When it was." {
		t.Errorf("the added field takes the template and the description: %+v", f.Ann)
	}
	if f := field(t, s, "n"); f.Ann.Columns.Width != 3 {
		t.Errorf("a field without a meaning is annotated too: %+v", f.Ann)
	}
}

func TestApplyUsesOutermostTypedef(t *testing.T) {
	t.Parallel()
	f := scalar("v_raw", "my_error", event.Uint, 4)
	f.Types = []string{"my_error", "gadget_errno", "gadget_signal", "__u32"}
	s := layout(f)
	apply(t, s, testEnv(), annotations{})
	if got := text(t, s, "v", le(2, 4)); got != "ENOENT" {
		t.Errorf("got %q", got)
	}
}

func TestApplyNests(t *testing.T) {
	t.Parallel()
	inner := scalar("call.error_raw", "gadget_errno", event.Uint, 4)
	inner.Parent = 0
	s := layout(structure("call", "call", event.NoParent), inner)
	apply(t, s, testEnv(), annotations{})
	if f := field(t, s, "call.error"); f.Parent != 0 {
		t.Errorf("parent %d", f.Parent)
	}
}

func TestApplyErrors(t *testing.T) {
	t.Parallel()
	cause := errors.New("no such template")
	for _, name := range []string{"error_raw", "error"} {
		s := layout(scalar("error_raw", "gadget_errno", event.Uint, 4))
		ann := annotations{err: cause, fields: map[string]func(*event.Annotations){name: func(*event.Annotations) {}}}
		if err := Apply(s, Types(), testEnv(), ann); !errors.Is(err, cause) {
			t.Errorf("%s: error %v, want %v", name, err, cause)
		}
	}
}

func TestApplyWithBareEnv(t *testing.T) {
	t.Parallel()
	s := everything()
	apply(t, s, &Env{}, annotations{})
	rec := make([]byte, s.Size)
	for i := range s.Fields {
		if f := &s.Fields[i]; f.Text != nil {
			f.Text(nil, batchOf(s, rec), 0)
		}
	}
}
