// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
)

const customFile = `name: top
datasources:
  open:
    annotations: {fetch-interval: 1s}
    fields:
      pid: {annotations: {columns.width: 8, description: The process}}
      bare:
programs:
  tick: {perf: {type: software, config: cycles}}
operator: {list: [a, b], kept: 1}
params:
  custom:
    mode:
      key: count-mode
      description: How to count
      defaultValue: all
      values:
        all:
          patch: {datasources: {open: {annotations: {description: 'all of {{call .getConfig "name"}}'}}}}
        none: {}
    wide:
      defaultValue: "16"
      patch:
        datasources:
          open:
            fields:
              pid: {annotations: {columns.width: "{{ .Value }}", columns.alias: '{{call .getParamValue "custom.mode"}}'}}
              bare: {annotations: {columns.hidden: true}}
              tid: {annotations: {template: tid}}
            annotations:
        programs:
          tick:
            perf.type: hardware
            sampler.frequency: 5
        operator: {list: [c], more: {x: '{{if eq .Value "16"}}usual{{else}}{{.Value}}{{end}}'}}
      values:
        "20": {patch: {datasources: {open: {fields: {pid: {annotations: {columns.width: 30}}}}}}}
      possibleValues: ["16", "20", "24", "", "wide"]
`

func customMetadata(t *testing.T) *Metadata {
	t.Helper()
	m, err := Parse("gadget.yaml", []byte(customFile))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCustomParams(t *testing.T) {
	t.Parallel()
	want := []CustomFlag{
		{Name: "mode", Key: "count-mode", Description: "How to count", Default: "all", Values: []string{"all", "none"}},
		{Name: "wide", Key: "wide", Default: "16", Values: []string{"16", "20", "24", "", "wide"}},
	}
	if got := customMetadata(t).CustomParams(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got := new(Metadata).CustomParams(); len(got) != 0 {
		t.Errorf("without any: got %v", got)
	}
}

func TestWithCustom(t *testing.T) {
	t.Parallel()
	m := customMetadata(t)
	before := describeValue(reflect.ValueOf(*m))
	for _, c := range []struct {
		name   string
		values map[string]string
		change func(spec *annotation.Spec) // of the metadata with the defaults
		more   string
	}{
		{"defaults", nil, func(*annotation.Spec) {}, "usual"},
		{"another value", map[string]string{"mode": "none"}, func(s *annotation.Spec) {
			delete(s.Source, "description")
			s.Fields["pid"]["columns.alias"] = "none"
		}, "usual"},
		{"a value with a patch after the param's", map[string]string{"wide": "20"}, func(s *annotation.Spec) {
			s.Fields["pid"]["columns.width"] = "30"
		}, "20"},
		{"a value without a patch", map[string]string{"wide": "24"}, func(s *annotation.Spec) {
			s.Fields["pid"]["columns.width"] = "24"
		}, "24"},
	} {
		got, err := m.WithCustom(c.values)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := annotation.Spec{
			Source: annotation.Set{"fetch-interval": "1s", "description": "all of top"},
			Fields: map[string]annotation.Set{
				"pid":  {"columns.width": "16", "description": "The process", "columns.alias": "all"},
				"bare": {"columns.hidden": "true"},
				"tid":  {"template": "tid"},
			},
		}
		c.change(&want)
		if spec := *got.Source("open"); !reflect.DeepEqual(spec, want) {
			t.Errorf("%s: got %v\nwant %v", c.name, spec, want)
		}
		tick := Program{Perf: Perf{Type: "hardware", Config: "cycles"}, Sampler: Sampler{Frequency: 5}}
		if got.Name != "top" || got.Programs["tick"] != tick {
			t.Errorf("%s: got %q, %+v", c.name, got.Name, got.Programs)
		}
		operator := fmt.Sprintf(`!!map "" [!!str "list" [] !!seq "" [!!str "c" []] !!str "kept" [] !!int "1" [] !!str "more" [] !!map "" [!!str "x" [] !!str %q []]]`, c.more)
		if s := describeNode(got.Operator); s != operator {
			t.Errorf("%s: got %s\nwant %s", c.name, s, operator)
		}
		roundTrip(t, got)
	}
	if after := describeValue(reflect.ValueOf(*m)); after != before {
		t.Errorf("the metadata was changed:\n%s\n%s", before, after)
	}
}

// Entries of patches have their places in the patch; all other places stay.
func TestWithCustomPositions(t *testing.T) {
	t.Parallel()
	m, err := customMetadata(t).WithCustom(nil)
	if err != nil {
		t.Fatal(err)
	}
	for line, path := range map[int][]string{
		1:  {keyName},
		6:  {keyDataSources, "open", keyFields, "pid", keyAnnotations, "description"},
		29: {keyDataSources, "open", keyFields, "tid"},
		27: {keyDataSources, "open", keyFields, "pid", keyAnnotations, "columns.width"},
		33: {keyPrograms, "tick", "perf", "type"},
	} {
		if pos, ok := m.Position(path...); !ok || pos.Line != line {
			t.Errorf("%v: got %v, want line %d", path, pos, line)
		}
	}
	err = m.Validate(Known{DataSources: map[string][]string{"open": {"pid", "bare"}}, Programs: []string{"tick"}})
	want := `gadget.yaml:29:15: unknown field "tid"; did you mean "pid"?
gadget.yaml:35:20: unknown key "list"
gadget.yaml:35:31: unknown key "more"`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestWithoutCustom(t *testing.T) {
	t.Parallel()
	m, err := new(Metadata).WithCustom(nil)
	if err != nil || compare(m, &Metadata{}) != "" {
		t.Errorf("got %+v, %v", m, err)
	}
	m, err = Parse("gadget.yaml", []byte("params: {custom: {a: }}"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.WithCustom(map[string]string{"a": "anything"})
	if err != nil || out == m || compare(m, out) != "" {
		t.Errorf("a param without patches: got %+v, %v", out, err)
	}
}

func TestWithCustomErrors(t *testing.T) {
	t.Parallel()
	const one = "name: x\nparams: {custom: {mode: {patch: %s}}}\n"
	patch := func(text string) string { return fmt.Sprintf(one, text) }
	width := func(text string) string {
		return patch(`{datasources: {d: {fields: {f: {annotations: {columns.width: '` + text + `'}}}}}}`)
	}
	for _, c := range []struct {
		name, file string
		values     map[string]string
		want       string
	}{
		{"unknown value", "params: {custom: {mode: {key: m, values: {all: , none: }}}}", map[string]string{"mode": "al"},
			`param "m": unknown value "al"; did you mean "all"?`},
		{"empty value", "params: {custom: {mode: {values: {all: }}}}", map[string]string{"mode": ""}, `param "mode": unknown value ""`},
		{"unknown default", "params: {custom: {mode: {defaultValue: non, values: {all: , none: }}}}", nil,
			`gadget.yaml:1:40: custom param "mode": unknown value "non"; did you mean "none"?`},
		{"unknown param", "params: {custom: {mode: }}", map[string]string{"moed": "x"}, `unknown custom param "moed"; did you mean "mode"?`},
		{"mandatory", "params: {custom: {mode: {isMandatory: true}}}", nil, `param "mode": the gadget needs a value`},
		{"control character", "params: {custom: {mode: }}", map[string]string{"mode": "a\x1b[1m"}, "control character"},
		{"invalid UTF-8", "params: {custom: {mode: }}", map[string]string{"mode": "\xff"}, "UTF-8"},
		{"bad shape", patch("{datasources: {d: [x]}}"), nil, `custom param "mode": d: want a mapping`},
		{"over a mapping", patch("{datasources: x}") + "datasources: {d: }", nil, `custom param "mode": datasources: want a mapping`},
		{"bad value", width("{{.Value}}"), map[string]string{"mode": "wide"}, `gadget.yaml:2:94: custom param "mode": columns.width: "wide" is not a whole number`},
		{"annotations at odds", patch("{datasources: {d: {annotations: {cli.default-output-mode: yaml}}}}") +
			"datasources: {d: {annotations: {cli.supported-output-modes: json}}}", nil, `gadget.yaml: custom param "mode": cli.default-output-mode`},
		{"custom params", patch("{params: {custom: {mode: {key: x}}}}"), nil, "a patch cannot change custom params"},
		{"program twice", patch("{programs: {p: {perf.type: a, perf: {type: b}}}}"), nil, "second time"},
		{"template syntax", width("{{.Value"), nil, "unclosed action"},
		{"unknown name", width("{{.Vlaue}}"), nil, `unknown value "Vlaue"; did you mean "Value"?`},
		{"part of a value", width("{{.Value.x}}"), nil, `".Value.x" is not accepted`},
		{"unknown function", width("{{foo .Value}}"), nil, `function "foo" not defined`},
		{"other function", width(`{{printf "%d" 5}}`), nil, `unknown function "printf"`},
		{"loop", width("{{range 1000000000}}x{{end}}"), nil, "is not accepted in a patch"},
		{"variable", width("{{$a := .Value}}"), nil, "is not accepted in a patch"},
		{"template in a template", width(`{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`), nil, "not accepted in a patch"},
		{"definition", width(`5{{define "a"}}x{{end}}`), nil, "define is not accepted in a patch"},
		{"definition only", width(`{{define "a"}}x{{end}}`), nil, "define is not accepted in a patch"},
		{"with", width("{{with .Value}}x{{end}}"), nil, "is not accepted in a patch"},
		{"everything", width("{{.}}"), nil, "is not accepted in a patch"},
		{"inside if", width("{{if .Value}}{{range 5}}{{end}}{{else}}{{end}}"), nil, "is not accepted in a patch"},
		{"long template", width("{{.Value}}" + strings.Repeat("x", maxTemplate)), nil, "at most 4096"},
		{"much text", patch(`{operator: {a: [` + strings.Repeat("'"+strings.Repeat(`{{.Value}}`, 100)+"',", 20) + `]}}`),
			map[string]string{"mode": strings.Repeat("x", 1000)}, "more than 1048576 bytes"},
		{"other param", width(`{{call .getParamValue "custom.mdoe"}}`), nil, `unknown custom param "custom.mdoe"; did you mean "custom.mode"?`},
		{"no custom param", width(`{{call .getParamValue "mode"}}`), nil, `unknown custom param "mode"; did you mean "custom.mode"?`},
		{"no such key", width(`{{call .getConfig "nme"}}`), nil, `the file says nothing at "nme"`},
		{"no single value", width(`{{call .getConfig "params.custom"}}`), nil, `"params.custom" is not a single value`},
		{"many", "params: {custom: {" + lines("p%d: , ", maxCustomParams+1) + "}}", nil, "101 custom params; at most 100"},
	} {
		m, err := Parse("gadget.yaml", []byte(c.file))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		out, err := m.WithCustom(c.values)
		if err == nil || out != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v\nwant %s", c.name, out, err, c.want)
		}
	}
}

// Unknown names in patches are reported once, and left out of the result.
func TestWithCustomUnknownOnly(t *testing.T) {
	t.Parallel()
	m, err := Parse("gadget.yaml", []byte(`name: old
params:
  custom:
    a: {patch: {nmae: x, name: new}}
    b: {patch: {datasources: {d: {feilds: , fields: {f: {annotations: {columns.hiden: true, columns.width: 5}}}}}}}
    c: {patch: {description: last}}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`gadget.yaml:4:17: custom param "a": unknown key "nmae"; did you mean "name"?`,
		`gadget.yaml:5:35: custom param "b": unknown key "feilds"; did you mean "fields"?`,
		`gadget.yaml:5:72: custom param "b": unknown annotation "columns.hiden"; did you mean "columns.hidden"?`,
	}
	out, err := m.WithCustom(nil)
	if out == nil || fmt.Sprint(err) != strings.Join(want, "\n") {
		t.Fatalf("got %v\n%v\nwant\n%s", out, err, strings.Join(want, "\n"))
	}
	for _, p := range Problems(err) {
		if !p.Unknown() {
			t.Errorf("%v: should count as unknown", p)
		}
	}
	if got := fmt.Sprintf("%s %s %v", out.Name, out.Description, *out.Source("d")); got != "new last {map[] map[f:map[columns.width:5]]}" {
		t.Errorf("what is left: %s", got)
	}
	roundTrip(t, out)
}

// With any other error there is no result, and the error is reported together with the unknown names.
func TestWithCustomUnknownAndWorse(t *testing.T) {
	t.Parallel()
	m, err := Parse("gadget.yaml", []byte("params: {custom: {a: {patch: {nmae: x}}, b: {patch: {datasources: [x]}}}}"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := m.WithCustom(nil)
	if out != nil || len(Problems(err)) != 2 || !strings.Contains(err.Error(), `unknown key "nmae"`) || !strings.Contains(err.Error(), "want a mapping") {
		t.Errorf("got %v, %v", out, err)
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	config, _ := readTree([]byte("name: top\ndatasources: {a.b: {annotations: {fetch-count: 3}}, a: {b: x}}"))
	e := newExpander(config, map[string]string{"one": "1"})
	e.data["Value"] = "v"
	for text, want := range map[string]string{
		"{{.Value}}{{ .Value }}":       "vv",
		"a{{/* nothing */}}b":          "ab",
		"{{/* nothing */}}":            "",
		`{{if ne .Value "v"}}x{{end}}`: "",
		`{{if and (eq .Value "v") (not (or false ""))}}x{{else if true}}y{{end}}`: "x",
		`{{call .getParamValue "custom.one"}}`:                                    "1",
		`{{call .getConfig "name"}}`:                                              "top",
		`{{call .getConfig "datasources.a.b.annotations.fetch-count"}}`:           "3",
		`{{call .getConfig "datasources.a.b"}}`:                                   "",
	} {
		got, err := e.text(text)
		if got != want || (err != nil) != strings.HasSuffix(text, `a.b"}}`) {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
}

// TestWithCustomLimits has files that would cost much time or memory without limits.
func TestWithCustomLimits(t *testing.T) {
	t.Parallel()
	const n = maxSize / 40
	fields := func(format string, n int) string { return "{datasources: {d: {fields: {" + lines(format, n) + "}}}}" }
	for name, file := range map[string]string{
		"many params": "description: '" + strings.Repeat("x", maxSize/2) + "'\n" +
			"datasources: {d: {fields: {" + lines("k%06d: , ", n/2) + "}}}\n" +
			"params: {custom: {" + lines("p%d: {patch: {name: x}}, ", maxCustomParams) + "}}\n",
		"many keys": "datasources: {d: {fields: {" + lines("a%06d: , ", n) + "}}}\n" +
			"params: {custom: {p: {patch: " + fields("b%06d: , ", n) + "}}}\n",
		"many templates": "params: {custom: {p: {patch: {operator: {a: [" +
			strings.Repeat("'{{call .getConfig \"operator.z\"}}',", n/2) + "]}}}}}\n" +
			"operator: {" + lines("k%06d: , ", n/2) + "z: x}\n",
	} {
		m, err := Parse("gadget.yaml", []byte(file))
		if err != nil {
			t.Errorf("%s: %.200v", name, err)
			continue
		}
		start := time.Now()
		if _, err := m.WithCustom(nil); err != nil {
			t.Errorf("%s: %.200v", name, err)
		}
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%s: took %v", name, d)
		} else {
			t.Logf("%s: %v", name, d)
		}
	}
}

// FuzzWithCustom lays patches of all kinds: whatever comes out can be written and read.
func FuzzWithCustom(f *testing.F) {
	f.Add(customFile, "16", "all")
	f.Add("params: {custom: {a: {patch: {name: '{{.Value}}'}}}}", "x", "")
	f.Add("params: {custom: {a: {patch: {operator: {a: '{{if eq .Value \"x\"}}{{call .getConfig \"name\"}}{{end}}'}}}}}", "x", "")
	f.Fuzz(func(t *testing.T, file, first, second string) {
		m, err := Parse("gadget.yaml", []byte(file))
		if err != nil {
			t.Skip("not valid by itself")
		}
		values := make(map[string]string)
		for i, p := range m.CustomParams() {
			values[p.Name] = []string{first, second}[i%2]
		}
		before := describeValue(reflect.ValueOf(*m))
		out, err := m.WithCustom(values)
		for _, p := range Problems(err) {
			if out != nil && !p.Unknown() {
				t.Fatalf("got %v beside %v", out, err)
			}
		}
		if out == nil && err == nil {
			t.Fatal("got nothing")
		}
		if after := describeValue(reflect.ValueOf(*m)); after != before {
			t.Fatalf("the metadata was changed:\n%s\n%s", before, after)
		}
		if out != nil && acceptable(first+second, "") {
			roundTrip(t, out)
		}
	})
}
