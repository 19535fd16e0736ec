// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

import (
	"slices"
	"sync"

	"github.com/gizmo-ebpf/gizmo/event"
)

// Limits, because large values in an image would cost memory for each line of output.
const (
	maxWidth     = 4096
	maxPrecision = 64
)

// Annotations that more than their row is about.
const (
	templateKey = "template"
	// ReplaceKey is the field annotation whose value names another field.
	ReplaceKey = "columns.replace"
)

// FieldKeys returns the annotations that fields can carry.
func FieldKeys() []Key[event.Annotations] { return slices.Clone(fieldKeys()) }

type ann = event.Annotations

// fieldKeys is the table itself. It is made once: annotations are applied to each field of a gadget several times, and the table
// has a closure or two in each row.
var fieldKeys = sync.OnceValue(func() []Key[ann] {
	return slices.Concat(generalKeys(), columnKeys(), metricKeys(), profileFieldKeys(), formatterKeys())
})

// generalKeys starts with the template: rows are applied in order, and single annotations
// override what the template sets.
func generalKeys() []Key[ann] {
	return []Key[ann]{
		{Name: templateKey, Doc: "Sets several annotations at once, for a common kind of field; annotations given beside it take precedence.",
			Value: Value{Kind: OneOf, Choices: templateNames()}, set: applyTemplate},
		textKey(Text, "description", "Says what the field means.",
			func(a *ann) *string { return &a.Description }),
		listKey("value.one-of", "Lists the values that the field may take, for documentation.",
			func(a *ann) *[]string { return &a.OneOf }),
		boolKey("json.skip", "Leaves the field out of json, jsonpretty and yaml.",
			func(a *ann) *bool { return &a.SkipJSON }),
	}
}

func columnKeys() []Key[ann] {
	return []Key[ann]{
		wholeKey(maxWidth, "columns.width", "Width of the column in characters, before it is scaled to the terminal.",
			func(a *ann) *int { return &a.Columns.Width }),
		wholeKey(maxWidth, "columns.minwidth", "Width below which the column is not scaled.",
			func(a *ann) *int { return &a.Columns.MinWidth }),
		wholeKey(maxWidth, "columns.maxwidth", "Width above which the column is not scaled.",
			func(a *ann) *int { return &a.Columns.MaxWidth }),
		choiceKey("columns.alignment", "Side to which the text is aligned.",
			func(a *ann) *event.Align { return &a.Columns.Align },
			choice[event.Align]{"left", event.AlignLeft}, choice[event.Align]{"right", event.AlignRight}),
		choiceKey("columns.ellipsis", "Where text that is too long is cut; none cuts its end without a mark.",
			func(a *ann) *event.Ellipsis { return &a.Columns.Ellipsis },
			choice[event.Ellipsis]{"end", event.EllipsisEnd}, choice[event.Ellipsis]{"middle", event.EllipsisMiddle},
			choice[event.Ellipsis]{"start", event.EllipsisStart}, choice[event.Ellipsis]{"none", event.EllipsisNone}),
		boolKey("columns.hidden", "Shows the column only if the user names it.",
			func(a *ann) *bool { return &a.Columns.Hidden }),
		boolKey("columns.fixed", "Keeps the column's width when the table is scaled.",
			func(a *ann) *bool { return &a.Columns.Fixed }),
		boolKey("columns.hex", "Shows integers in base 16.",
			func(a *ann) *bool { return &a.Columns.Hex }),
		textKey(Line, "columns.alias", "Header of the column, in place of the field's name.",
			func(a *ann) *string { return &a.Columns.Header }),
		pointerKey("columns.precision", "Number of digits after the decimal point of a float.",
			Value{Kind: Whole, Max: maxPrecision}, readWhole, func(a *ann) **int { return &a.Columns.Precision }),
		textKey(Name, ReplaceKey, "Names another field, which the table shows in place of this one.",
			func(a *ann) *string { return &a.Columns.Replace }),
	}
}

// The annotations of a metric's unit.
const (
	UnitKey     = "metrics.unit"
	UnitWithKey = "metrics.unit-with"
)

func metricKeys() []Key[ann] {
	return []Key[ann]{
		choiceKey("metrics.type", "Makes the field a metric, or a label (key) of the others.",
			func(a *ann) *event.MetricRole { return &fresh(&a.Metric).Role },
			choice[event.MetricRole]{"counter", event.CounterRole}, choice[event.MetricRole]{"gauge", event.GaugeRole},
			choice[event.MetricRole]{"histogram", event.HistogramRole}, choice[event.MetricRole]{"key", event.KeyRole}),
		textKey(Line, "metrics.name", "Name of the metric or label, in place of the field's name.",
			func(a *ann) *string { return &fresh(&a.Metric).Name }),
		textKey(Line, UnitKey, "Unit of the metric.",
			func(a *ann) *string { return &fresh(&a.Metric).Unit }),
		textKey(Line, UnitWithKey, "VARIABLE=UNIT: another unit of the metric, if that param, a bool, is set. It has no effect in `--annotate`.",
			func(a *ann) *string { return &fresh(&a.Metric).UnitWith }),
		textKey(Text, "metrics.description", "Says what the metric counts.",
			func(a *ann) *string { return &fresh(&a.Metric).Description }),
		newKey("metrics.boundaries", "Upper bounds of the histogram's buckets.", Value{Kind: Numbers}, readNumbers,
			func(a *ann) *[]float64 { return &fresh(&a.Metric).Boundaries }),
		choiceKey(SlotsKey, "The function that gives a value's slot in an array of slots. Without it gizmo reads that from the object.",
			func(a *ann) *bool { return &fresh(&a.Metric).Log2Slots }, choice[bool]{"get_slot_idx", false}, choice[bool]{Log2Slots, true}),
	}
}

// SlotsKey is the annotation that names the function for the slots of a histogram, and Log2Slots one of its values.
const (
	SlotsKey  = "metrics.slots"
	Log2Slots = "log2l"
)

// fresh puts a copy in place of what copies of the annotations share, for a change.
func fresh[T any](place **T) *T {
	changed := new(T)
	if *place != nil {
		*changed = **place
	}
	*place = changed
	return changed
}

func formatterKeys() []Key[ann] {
	keys := []Key[ann]{
		textKey(Line, "formatters.timestamp.format", "Layout of the text, in the notation of Go's package time.",
			func(a *ann) *string { return &a.Format }),
		textKey(Line, "ebpf.formatter.bitfield.separator", "Separator between the names of a bit set.",
			func(a *ann) *string { return &a.Separator }),
	}
	for _, name := range targetKeys() {
		keys = append(keys, textKey(Name, name, "Name of the added field, which has the value as text.",
			func(a *ann) *string { return &a.Target }))
	}
	return keys
}

// targetKeys are the annotations that name the field that an enriched type adds. Each type has its
// own for historical reasons.
func targetKeys() []string {
	return []string{
		"formatters.timestamp.target",
		"formatters.signal.target",
		"formatters.packet_type.target",
		"formatters.link_type.target",
		"formatters.errno.target",
		"formatters.syscall.target",
		"formatters.file_mode.target",
		"formatters.file_flags.target",
		"formatters.bytes.target",
		"formatters.duration.target",
		"uidgidresolver.target",
		"ebpf.formatter.enum",
		"ebpf.formatter.kstack",
	}
}
