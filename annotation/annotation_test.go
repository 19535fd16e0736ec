// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
)

// TestFieldKeys has a row for every annotation that fields can carry: a value, and what it does.
func TestFieldKeys(t *testing.T) {
	t.Parallel()
	two := 2
	columns := func(s event.ColumnStyle) event.Annotations { return event.Annotations{Columns: s} }
	target := event.Annotations{Target: "error"}
	tests := map[string]struct {
		value string
		want  event.Annotations
		bad   []string // values that are refused
	}{
		"template":              {"ppid", event.Annotations{Description: "Parent process ID", Columns: event.ColumnStyle{Width: 16, MinWidth: 7, Align: event.AlignRight, Hidden: true}}, []string{"", "PID", "process"}},
		"description":           {"a\n\tb", event.Annotations{Description: "a\n\tb"}, []string{"\x1b[31m", "\x00", "\u009b", "\xff"}},
		"value.one-of":          {"a, b ,c d", event.Annotations{OneOf: []string{"a", "b", "c d"}}, []string{"", ",", "a,", "a,\x1b"}},
		"json.skip":             {"true", event.Annotations{SkipJSON: true}, []string{"", "1", "yes", "tRUE", " true"}},
		"columns.width":         {"20", columns(event.ColumnStyle{Width: 20}), []string{"", "-1", "+1", "4097", "1.0", "0x10", "99999999999999999999"}},
		"columns.minwidth":      {"7", columns(event.ColumnStyle{MinWidth: 7}), []string{"-1"}},
		"columns.maxwidth":      {"4096", columns(event.ColumnStyle{MaxWidth: 4096}), []string{"4097"}},
		"columns.alignment":     {"right", columns(event.ColumnStyle{Align: event.AlignRight}), []string{"", "Right", "center"}},
		"columns.ellipsis":      {"middle", columns(event.ColumnStyle{Ellipsis: event.EllipsisMiddle}), []string{"", "both"}},
		"columns.hidden":        {"TRUE", columns(event.ColumnStyle{Hidden: true}), []string{"on"}},
		"columns.fixed":         {"True", columns(event.ColumnStyle{Fixed: true}), []string{"t"}},
		"columns.hex":           {"true", columns(event.ColumnStyle{Hex: true}), []string{"16"}},
		"columns.alias":         {"%CPU", columns(event.ColumnStyle{Header: "%CPU"}), []string{"a\nb", "\x1b[31m"}},
		"columns.precision":     {"2", columns(event.ColumnStyle{Precision: &two}), []string{"-1", "65"}},
		"columns.replace":       {"runtime.containerName", columns(event.ColumnStyle{Replace: "runtime.containerName"}), []string{"", ".", "a b", "a.", "ä"}},
		"metrics.type":          {"histogram", event.Annotations{Metric: &event.InMetrics{Role: event.HistogramRole}}, []string{"", "Counter"}},
		"metrics.unit":          {"µs", event.Annotations{Metric: &event.InMetrics{Unit: "µs"}}, []string{"\n"}},
		"metrics.unit-with":     {"targ_ms=ms", event.Annotations{Metric: &event.InMetrics{UnitWith: "targ_ms=ms"}}, []string{"\n"}},
		"metrics.name":          {"n", event.Annotations{Metric: &event.InMetrics{Name: "n"}}, []string{"\n"}},
		"metrics.description":   {"x", event.Annotations{Metric: &event.InMetrics{Description: "x"}}, []string{"\x07"}},
		"metrics.slots":         {"log2l", event.Annotations{Metric: &event.InMetrics{Log2Slots: true}}, []string{"", "log2"}},
		"metrics.boundaries":    {"-1, 0.5,1e3", event.Annotations{Metric: &event.InMetrics{Boundaries: []float64{-1, 0.5, 1e3}}}, []string{"", "1,1", "2,1", "a", "nan", "1,,2"}},
		"flamegraph.level":      {"2", event.Annotations{Profile: &event.InProfile{Level: &two}}, []string{"", "-1", "1.5", "low"}},
		"flamegraph.type":       {"stack", event.Annotations{Profile: &event.InProfile{Type: event.StackType}}, []string{"\n"}},
		"uidgidresolver.target": {"error", target, []string{"", "a b"}},
		"ebpf.formatter.enum":   {"error", target, []string{""}},
		"ebpf.formatter.kstack": {"error", target, []string{""}},

		"profiles.sample-attribute":         {"true", event.Annotations{Profile: &event.InProfile{Attribute: true}}, []string{"", "1"}},
		"formatters.timestamp.target":       {"error", target, []string{""}},
		"formatters.timestamp.format":       {"15:04:05", event.Annotations{Format: "15:04:05"}, []string{"\n"}},
		"formatters.packet_type.target":     {"error", target, []string{""}},
		"formatters.link_type.target":       {"error", target, []string{""}},
		"formatters.signal.target":          {"error", target, []string{""}},
		"formatters.errno.target":           {"error", target, []string{""}},
		"formatters.syscall.target":         {"error", target, []string{""}},
		"formatters.file_mode.target":       {"error", target, []string{""}},
		"formatters.file_flags.target":      {"error", target, []string{""}},
		"formatters.bytes.target":           {"error", target, []string{""}},
		"formatters.duration.target":        {"error", target, []string{""}},
		"ebpf.formatter.bitfield.separator": {" + ", event.Annotations{Separator: " + "}, []string{"\t"}},
	}
	for _, key := range annotation.FieldKeys() {
		test, ok := tests[key.Name]
		if !ok {
			t.Errorf("%s: no test", key.Name)
			continue
		}
		delete(tests, key.Name)
		checkRow(t, key.Name, key.Doc, key.Value)
		got, err := annotation.Set{key.Name: test.value}.ParseField()
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %q: got %+v, %v, want %+v", key.Name, test.value, got, err, test.want)
		}
		for _, bad := range test.bad {
			err := key.Check(bad)
			if err == nil || !strings.HasPrefix(err.Error(), key.Name+": ") {
				t.Errorf("%s: %q: got error %v", key.Name, bad, err)
			}
		}
	}
	for name := range tests {
		t.Errorf("%s: not in the table", name)
	}
}

// checkRow checks the parts of a row that documentation uses.
func checkRow(t *testing.T, name, doc string, value annotation.Value) {
	t.Helper()
	if !strings.HasSuffix(doc, ".") || len(doc) < 10 {
		t.Errorf("%s: the table's sentence is %q", name, doc)
	}
	if value.String() == "" || (value.Kind == annotation.OneOf) != (len(value.Choices) > 0) {
		t.Errorf("%s: values: %+v", name, value)
	}
}

// TestSourceKeys is TestFieldKeys for data sources.
func TestSourceKeys(t *testing.T) {
	t.Parallel()
	type source = annotation.Source
	profile := func(p annotation.Profile) source { return source{Profile: p} }
	second, zero, three := time.Second, time.Duration(0), 3
	tests := map[string]struct {
		value string
		want  source
		bad   []string
	}{
		"description":                   {"x", source{Description: "x"}, []string{"\x1b"}},
		"cli.supported-output-modes":    {"json,yaml", source{SupportedOutputModes: []string{"json", "yaml"}}, []string{"", "json,"}},
		"cli.default-output-mode":       {"json", source{DefaultOutputMode: "json"}, []string{"\n"}},
		"cli.clear-screen-before":       {"true", source{ClearScreen: true}, []string{"yes"}},
		"ebpf.rest.name":                {"payload", source{RestName: "payload"}, []string{"", "a b"}},
		"ebpf.rest.len":                 {"payload_len", source{RestLen: "payload_len"}, []string{""}},
		"ebpf.rest.text":                {"payload_text", source{RestText: "payload_text"}, []string{""}},
		"ebpf.rest.content":             {"dns", source{RestContent: "dns"}, []string{"", "tls"}},
		"ebpf.rest.texts":               {"cwd,exepath", source{RestTexts: []string{"cwd", "exepath"}}, []string{"", "cwd,"}},
		"only-if":                       {"!leaks", source{OnlyIf: "!leaks"}, []string{"\n"}},
		"ebpf.map.flush-on-stop":        {"true", source{FlushOnStop: true}, []string{"1"}},
		"generate_networkpolicy.enable": {"true", source{NetworkPolicy: true}, []string{"1"}},
		"metrics.collect":               {"true", source{Metrics: annotation.SourceMetrics{Collect: true}}, []string{"1"}},
		"metrics.print":                 {"true", source{Metrics: annotation.SourceMetrics{Print: true}}, []string{"1"}},
		"fetch-interval":                {"1s", source{FetchInterval: &second}, []string{"", "1", "-1s", "soon"}},
		"fetch-count":                   {"3", source{FetchCount: &three}, []string{"", "-1", "1.5", "2147483648"}},

		"cli.pcap-ng.payload":        {"payload", source{Packets: annotation.Packets{Payload: "payload"}}, []string{"", "a b"}},
		"cli.pcap-ng.timestamp":      {"timestamp", source{Packets: annotation.Packets{Timestamp: "timestamp"}}, []string{""}},
		"cli.pcap-ng.interface":      {"ifindex", source{Packets: annotation.Packets{Interface: "ifindex"}}, []string{""}},
		"cli.pcap-ng.interface-name": {"name", source{Packets: annotation.Packets{InterfaceName: "name"}}, []string{""}},
		"cli.pcap-ng.capture-length": {"a_len", source{Packets: annotation.Packets{CaptureLength: "a_len"}}, []string{""}},
		"cli.pcap-ng.packet-length":  {"b_len", source{Packets: annotation.Packets{PacketLength: "b_len"}}, []string{""}},
		"cli.pcap-ng.packet-type":    {"type", source{Packets: annotation.Packets{PacketType: "type"}}, []string{""}},
		"cli.pcap-ng.link-type":      {"link", source{Packets: annotation.Packets{LinkType: "link"}}, []string{""}},
		"cli.pcap-ng.vlan":           {"vlan", source{Packets: annotation.Packets{VLAN: "vlan"}}, []string{""}},

		"profiles.stack-fields":    {"kern_stack, user_stack", profile(annotation.Profile{StackFields: []string{"kern_stack", "user_stack"}}), []string{"", "a,"}},
		"profiles.stack-field":     {"kern_stack", profile(annotation.Profile{StackFields: []string{"kern_stack"}}), []string{"", "a,b"}},
		"profiles.value-field":     {"samples", profile(annotation.Profile{ValueField: "samples"}), []string{"", "a b"}},
		"profiles.name":            {"on CPU", profile(annotation.Profile{Name: "on CPU"}), []string{"\n"}},
		"profiles.type":            {"alloc_space", profile(annotation.Profile{Type: "alloc_space"}), []string{"\x00"}},
		"profiles.unit":            {"bytes", profile(annotation.Profile{Unit: "bytes"}), []string{"\t"}},
		"profiles.frequency":       {"99", profile(annotation.Profile{Frequency: 99}), []string{"", "-1", "99 Hz", "1000001"}},
		"profiles.frequency-param": {"rate", profile(annotation.Profile{FrequencyParam: "rate"}), []string{"a\x1bb"}},
		"profiles.arrays":          {"latest", profile(annotation.Profile{Latest: true}), []string{"", "last"}},

		"metrics.implicit-counter.name":        {"n", source{Metrics: annotation.SourceMetrics{CounterName: "n"}}, []string{"\n"}},
		"metrics.implicit-counter.description": {"d", source{Metrics: annotation.SourceMetrics{CounterDescription: "d"}}, []string{"\x00"}},
	}
	for _, key := range annotation.SourceKeys() {
		test, ok := tests[key.Name]
		if !ok {
			t.Errorf("%s: no test", key.Name)
			continue
		}
		delete(tests, key.Name)
		checkRow(t, key.Name, key.Doc, key.Value)
		got, err := (&annotation.Spec{Source: annotation.Set{key.Name: test.value}}).ParseSource()
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, %v, want %+v", key.Name, got, err, test.want)
		}
		for _, bad := range test.bad {
			if err := key.Check(bad); err == nil {
				t.Errorf("%s: takes %q", key.Name, bad)
			}
		}
	}
	for name := range tests {
		t.Errorf("%s: not in the table", name)
	}
	got, err := annotation.Set{"fetch-interval": "0"}.ParseSource()
	if err != nil || !reflect.DeepEqual(got.FetchInterval, &zero) {
		t.Errorf("0 must differ from nothing: got %v, %v", got.FetchInterval, err)
	}
	if got, err := (*annotation.Spec)(nil).ParseSource(); err != nil || !reflect.DeepEqual(got, source{}) {
		t.Errorf("nil: got %+v, %v", got, err)
	}
}

// TestNoDoubles: every name is in a table once.
func TestNoDoubles(t *testing.T) {
	t.Parallel()
	var names []string
	for _, k := range annotation.FieldKeys() {
		names = append(names, k.Name)
	}
	for _, k := range annotation.SourceKeys() {
		names = append(names, "source "+k.Name)
	}
	for _, k := range annotation.Templates() {
		names = append(names, "template "+k.Name)
	}
	slices.Sort(names)
	if short := slices.Compact(slices.Clone(names)); len(short) != len(names) {
		t.Errorf("something is in a table twice: %q", names)
	}
}

// TestTemplates holds the list that users know.
func TestTemplates(t *testing.T) {
	t.Parallel()
	type style = event.ColumnStyle
	const right, middle = event.AlignRight, event.EllipsisMiddle
	want := map[string]style{
		"timestamp":            {Width: 35, MaxWidth: 35, Hidden: true},
		"node":                 {Width: 30, Ellipsis: middle},
		"pod":                  {Width: 30, Ellipsis: middle},
		"container":            {Width: 30},
		"namespace":            {Width: 30},
		"containerImageName":   {Width: 30},
		"containerImageDigest": {Width: 30},
		"containerStartedAt":   {Width: 35, Hidden: true},
		"comm":                 {Width: 16, MaxWidth: 16},
		"pcomm":                {Width: 16, MaxWidth: 16, Hidden: true},
		"pid":                  {Width: 16, MinWidth: 7, Align: right},
		"tid":                  {Width: 16, MinWidth: 7, Align: right},
		"ppid":                 {Width: 16, MinWidth: 7, Align: right, Hidden: true},
		"ptid":                 {Width: 16, MinWidth: 7, Align: right, Hidden: true},
		"uid":                  {Width: 16, MinWidth: 8, Align: right},
		"gid":                  {Width: 16, MinWidth: 8, Align: right},
		"ns":                   {Width: 12, Align: right, Hidden: true},
		"mntns_id":             {Width: 12, Align: right, Hidden: true},
		"netns_id":             {Width: 12, Align: right, Hidden: true},
		"l4endpoint":           {Width: 40, MinWidth: 22, MaxWidth: 52, Ellipsis: middle},
		"syscall":              {Width: 18, MaxWidth: 28},
		"errorString":          {Width: 12},
		"bytes":                {Width: 10, Align: right},
		"duration":             {Width: 20, Align: right},
		"user_stack":           {Width: 16, Hidden: true},
	}
	descriptions := map[string]string{
		"comm": "Process name", "pcomm": "Parent process name", "pid": "Process ID", "tid": "Thread ID",
		"ppid": "Parent process ID", "ptid": "Parent thread ID", "uid": "User ID", "gid": "Group ID",
	}
	list := annotation.Templates()
	if len(list) != len(want) {
		t.Errorf("got %d templates, want %d", len(list), len(want))
	}
	for _, template := range list {
		var a event.Annotations
		template.Apply(&a)
		expect := event.Annotations{Description: descriptions[template.Name], Columns: want[template.Name]}
		if !reflect.DeepEqual(a, expect) {
			t.Errorf("%s: got %+v, want %+v", template.Name, a, expect)
		}
		checkRow(t, template.Name, template.Doc, annotation.Value{})
	}
	a := event.Annotations{Columns: style{Ellipsis: middle}}
	list[slices.IndexFunc(list, func(x annotation.Template) bool { return x.Name == "timestamp" })].Apply(&a)
	if a.Columns.Ellipsis != event.EllipsisEnd {
		t.Error("timestamp should cut at the end whatever was said before")
	}
}

func TestAnnotate(t *testing.T) {
	t.Parallel()
	spec := &annotation.Spec{Fields: map[string]annotation.Set{
		"pid":   {"columns.width": "9", "template": "ppid", "columns.hidden": "false", "x-level": "3", "metrics.type": "key"},
		"empty": {},
		"bad":   {"columns.width": "wide", "colums.hex": "true", "description": "never"},
		"two":   {"formatters.errno.target": "a", "ebpf.formatter.enum": "b"},
		"same":  {"formatters.errno.target": "a", "ebpf.formatter.enum": "a"},
	}}
	f := event.Field{Name: "pid"}
	f.Ann.Columns.Header = "PID" // must stay
	// The template of the type, then the author's template, then the author's single annotations.
	want := event.Annotations{
		Description: "Parent process ID",
		Columns:     event.ColumnStyle{Header: "PID", Width: 9, MinWidth: 7, MaxWidth: 28, Align: event.AlignRight},
		Metric:      &event.InMetrics{Role: event.KeyRole},
		Other:       map[string]string{"x-level": "3"},
	}
	for range 2 { // idempotent
		if err := spec.Annotate(&f, "syscall"); err != nil || !reflect.DeepEqual(f.Ann, want) {
			t.Errorf("got %+v, %v, want %+v", f.Ann, err, want)
		}
	}
	for name, want := range map[string]string{
		"bad": `field "bad": columns.width: "wide" is not a whole number from 0 to 4096` + "\n" +
			`unknown annotation "colums.hex"; did you mean "columns.hex"?`,
		"two": `field "two": formatters.errno.target and ebpf.formatter.enum name different fields, "a" and "b"; only one is added`,
	} {
		f := event.Field{Name: name}
		if err := spec.Annotate(&f, "pid"); fmt.Sprint(err) != want || !reflect.DeepEqual(f.Ann, event.Annotations{}) {
			t.Errorf("%s: got %+v, %v, want %s", name, f.Ann, err, want)
		}
	}
	for _, name := range []string{"empty", "absent", "same"} {
		if err := spec.Annotate(&event.Field{Name: name}, ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := (*annotation.Spec)(nil).Annotate(&f, "pdi")
	if want := `field "pid": unknown template "pdi"; did you mean "pid"?`; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestAnnotateShared: schemas are cloned with their fields' maps, which must then not change.
func TestAnnotateShared(t *testing.T) {
	t.Parallel()
	first := event.Field{Name: "f"}
	one := &annotation.Spec{Fields: map[string]annotation.Set{"f": {"x-a": "1"}}}
	two := &annotation.Spec{Fields: map[string]annotation.Set{"f": {"x-a": "2", "x-b": "3"}}}
	if err := one.Annotate(&first, ""); err != nil {
		t.Fatal(err)
	}
	second := first
	if err := two.Annotate(&second, ""); err != nil {
		t.Fatal(err)
	}
	if len(first.Ann.Other) != 1 || first.Ann.Other["x-a"] != "1" || len(second.Ann.Other) != 2 {
		t.Errorf("got %v and %v", first.Ann.Other, second.Ann.Other)
	}
}

func TestForeign(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		"x-team": true, "example.org/team": true, "a.b.c/d/e": true,
		"x-": false, "team": false, "a/b": false, "example.org/": false, "/b": false, "a./b": false, "x.y": false, "": false, "a b.c/d": false,
	} {
		if got := annotation.Foreign(key); got != want {
			t.Errorf("%q: got %v", key, got)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	schema := &event.Schema{Fields: []event.Field{{Name: "proc"}, {Name: "proc.pid"}, {Name: "error_raw"}}}
	schema.Add(event.Field{Name: "error"})
	spec := &annotation.Spec{Fields: map[string]annotation.Set{
		"proc.pid": {}, "error": {"columns.replace": "error_raw"}, "error_raw": {"columns.replace": "errno"}, "eror": {}, "pid": nil,
	}}
	want := "unknown field \"eror\"; did you mean \"error\"?\n" +
		"field \"error_raw\": columns.replace: unknown field \"errno\"\n" +
		"unknown field \"pid\"; did you mean \"proc.pid\"?"
	err := spec.Check(schema)
	if fmt.Sprint(err) != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	var unknown *annotation.UnknownError
	if !errors.As(err, &unknown) || unknown.What != "field" {
		t.Errorf("got %#v", unknown)
	}
	if err := (*annotation.Spec)(nil).Check(schema); err != nil {
		t.Errorf("nil: %v", err)
	}
}

func TestParseSourceErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		set  annotation.Set
		want string
	}{
		{annotation.Set{"columns.width": "3"}, `unknown annotation "columns.width"`},
		{annotation.Set{"cli.default-output-mode": "columns", "cli.supported-output-modes": "json, yaml"},
			`cli.default-output-mode: "columns" is not among cli.supported-output-modes: json, yaml`},
		{annotation.Set{"fetch-count": "x", "fetch-intervall": "1s"},
			"fetch-count: \"x\" is not a whole number from 0 to 2147483647\nunknown annotation \"fetch-intervall\"; did you mean \"fetch-interval\"?"},
	} {
		if _, err := test.set.ParseSource(); fmt.Sprint(err) != test.want {
			t.Errorf("%v: got %v, want %s", test.set, err, test.want)
		}
	}
	got, err := annotation.Set{"example.org/a": "b"}.ParseSource()
	if err != nil || got.Other["example.org/a"] != "b" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	base := &annotation.Spec{Source: annotation.Set{"a": "1", "b": "1"}, Fields: map[string]annotation.Set{"f": {"a": "1", "b": "1"}, "g": {}}}
	over := &annotation.Spec{Source: annotation.Set{"b": "2"}, Fields: map[string]annotation.Set{"f": {"b": "2"}, "h": {"c": "2"}}}
	before := fmt.Sprint(base, over)
	want := &annotation.Spec{
		Source: annotation.Set{"a": "1", "b": "2"},
		Fields: map[string]annotation.Set{"f": {"a": "1", "b": "2"}, "g": {}, "h": {"c": "2"}},
	}
	got := annotation.Merge(base, over)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got.SetField("f", "a", "changed")
	got.SetSource("a", "changed")
	if fmt.Sprint(base, over) != before {
		t.Error("what was merged has changed")
	}
	if got := annotation.Merge(nil, nil); !reflect.DeepEqual(got, &annotation.Spec{}) {
		t.Errorf("nil and nil: got %v", got)
	}
	if got := annotation.Merge(base, nil); !reflect.DeepEqual(got, base) {
		t.Errorf("with nil: got %v", got)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	spec := &annotation.Spec{Source: annotation.Set{"fetch-count": "3"}, Fields: map[string]annotation.Set{"pid": {"template": "pid"}}}
	text, err := json.Marshal(spec)
	if want := `{"source":{"fetch-count":"3"},"fields":{"pid":{"template":"pid"}}}`; err != nil || string(text) != want {
		t.Errorf("got %s, %v, want %s", text, err, want)
	}
	var again annotation.Spec
	if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(&again, spec) {
		t.Errorf("got %v, %v", again, err)
	}
	if text, _ := json.Marshal(&annotation.Spec{}); string(text) != "{}" {
		t.Errorf("got %s", text)
	}
}

func ExampleSpec_Annotate() {
	spec := &annotation.Spec{}
	spec.SetField("proc.pid", "columns.alias", "PID")
	f := event.Field{Name: "proc.pid"}
	if err := spec.Annotate(&f, "pid"); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Ann.Columns.Header, f.Ann.Columns.Width, f.Ann.Columns.Align == event.AlignRight)
	// Output: PID 16 true
}

// The tables are made once, and those that are handed out belong to the caller.
func TestTablesBelongToTheCaller(t *testing.T) {
	t.Parallel()
	keys, templates := annotation.FieldKeys(), annotation.Templates()
	key, template := keys[0].Name, templates[0].Name
	keys[0].Name, templates[0].Name = "changed", "changed"
	if got := annotation.FieldKeys()[0].Name; got != key {
		t.Errorf("the first key is %q, want %q", got, key)
	}
	if got := annotation.Templates()[0].Name; got != template {
		t.Errorf("the first template is %q, want %q", got, template)
	}
}
