// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package event

// Annotations say how to show a field. They are the typed form of the annotations that a gadget's
// metadata and the command line give as text.
type Annotations struct {
	Description string
	// OneOf lists the values that the field may take, for documentation.
	OneOf []string
	// Columns is for the columns format.
	Columns ColumnStyle
	// SkipJSON leaves the field out of json, jsonpretty and yaml.
	SkipJSON bool
	// Target is the name of the field that an enriched type adds; empty for the default (the name
	// without its suffix "_raw").
	Target string
	// Format is a layout of package time, for timestamps.
	Format string
	// Separator separates the names of a bit set; empty for the default "|".
	Separator string
	// Profile and Metric are nil if no annotation is about them. What they point to does not change: copies share it.
	Profile *InProfile
	Metric  *InMetrics
	// Other holds the annotations that no part of gizmo reads.
	Other map[string]string
}

// InMetrics is the part that a field has in metrics.
type InMetrics struct {
	// Role is what the field is; NoRole: its C type says it.
	Role MetricRole
	// Name is that of the metric or label; empty: that of the field.
	Name, Description, Unit string
	// UnitWith is another unit, and the param on which it depends: VARIABLE=UNIT. A plan has put it in the place of Unit.
	UnitWith string
	// Boundaries are the upper bounds of a histogram's buckets, in ascending order.
	Boundaries []float64
	// Log2Slots says that slot i of a histogram counts values from 2^i up to 2^(i+1). Otherwise it counts those up to 2^i that the slot before does not
	// count.
	Log2Slots bool
}

// MetricRole is what a field is in metrics.
type MetricRole uint8

// The roles.
const (
	NoRole MetricRole = iota
	KeyRole
	CounterRole
	GaugeRole
	HistogramRole
)

// InProfile is the part that a field has in profiles.
type InProfile struct {
	// Attribute makes the field's value a label of the samples.
	Attribute bool
	// Level orders the fields that are frames of a flame graph, those with the smallest next to its root; nil: the field is no frame.
	Level *int
	// Type says what the field is in a flame graph: StackType, or anything else for one frame with the field's text.
	Type string
}

// StackType is the InProfile.Type of a field that is a stack.
const StackType = "stack"

// Align is the side to which a column's text is aligned.
type Align uint8

// The alignments.
const (
	AlignLeft Align = iota
	AlignRight
)

// Ellipsis says where text that is too long for its column is cut.
type Ellipsis uint8

// The places to cut.
const (
	EllipsisEnd Ellipsis = iota
	EllipsisMiddle
	EllipsisStart
	EllipsisNone // cut without a mark
)

// ColumnStyle is how a field appears as a column of text. Widths count terminal cells; 0 means
// no width was set.
type ColumnStyle struct {
	Width, MinWidth, MaxWidth int
	Align                     Align
	Ellipsis                  Ellipsis
	// Hidden columns appear only if the user names them.
	Hidden bool
	// Fixed columns keep their width when the table is scaled.
	Fixed bool
	// Hex shows integers in base 16.
	Hex bool
	// Header replaces the name at the top of the column.
	Header string
	// Precision is the number of digits after the decimal point of a float; nil for the shortest exact text.
	Precision *int
	// Replace names another field whose value is shown in this column, unless it is empty.
	Replace string
}
