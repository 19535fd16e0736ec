// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

import "github.com/gizmo-ebpf/gizmo/event"

// Profile says how the stacks of a data source's events become a profile.
type Profile struct {
	// StackFields are the stacks of a sample, the innermost first. Empty: all that the data source has.
	StackFields []string
	// ValueField has the value of an event. Empty: an event counts as 1.
	ValueField string
	// Name is the name of the profile. Empty: that of the data source.
	Name string
	// Type and Unit say what the value is. Empty: the value's field and its C type say so.
	Type, Unit string
	// Frequency is how many samples were taken each second on each CPU. 0: the events are no samples of time.
	Frequency int
	// FrequencyParam is the variable of a param whose value replaces Frequency. Empty: none.
	FrequencyParam string
	// Latest: an array replaces the one before. Otherwise arrays are added up.
	Latest bool
}

// The annotations of data sources about profiles.
const (
	StackFieldsKey = "profiles.stack-fields"
	ValueFieldKey  = "profiles.value-field"
	FrequencyKey   = "profiles.frequency"
	// FrequencyParamKey names the param that says how many samples were taken.
	FrequencyParamKey = "profiles.frequency-param"
)

// MaxFrequency is the largest number of samples a second that gadget.yaml can ask for.
const MaxFrequency = 1_000_000

// profileKeys are the rows of Profile. The older of two names comes first, so that the newer one takes precedence.
func profileKeys() []Key[Source] {
	arrays := []choice[bool]{{"sum", false}, {"latest", true}}
	return []Key[Source]{
		newKey("profiles.stack-field", "An older name of profiles.stack-fields, for one field.",
			Value{Kind: Name}, readOneField, func(s *Source) *[]string { return &s.Profile.StackFields }),
		listKey(StackFieldsKey, "Names the fields with the stacks of a sample in a [profile](profiling.md), the innermost first. Default: all stacks that the data source has, those of the kernel first.",
			func(s *Source) *[]string { return &s.Profile.StackFields }),
		textKey(Name, ValueFieldKey, "Names the field with the value of an event in a profile. Default: an event counts as 1.",
			func(s *Source) *string { return &s.Profile.ValueField }),
		textKey(Line, "profiles.name", "Name of the profile. Default: that of the data source.",
			func(s *Source) *string { return &s.Profile.Name }),
		textKey(Line, "profiles.type", "Says what the values of a profile are. Default: the name of the field with the value, or `events`.",
			func(s *Source) *string { return &s.Profile.Type }),
		textKey(Line, "profiles.unit", "Unit of the values of a profile. Default: `bytes` and `nanoseconds` for fields of these types, otherwise `count`.",
			func(s *Source) *string { return &s.Profile.Unit }),
		newKey(FrequencyKey, "Samples a second on each CPU, which makes CPU time out of the number of samples; 0: the events are no samples of time.",
			Value{Kind: Whole, Max: MaxFrequency}, readWhole, func(s *Source) *int { return &s.Profile.Frequency }),
		textKey(Line, FrequencyParamKey, "The variable of a param whose value replaces `profiles.frequency`.",
			func(s *Source) *string { return &s.Profile.FrequencyParam }),
		choiceKey("profiles.arrays", "What the arrays of a run are to a profile: they are added up (sum), or each replaces the one before (latest).",
			func(s *Source) *bool { return &s.Profile.Latest }, arrays...),
	}
}

// profileFieldKeys are the annotations of fields about profiles.
func profileFieldKeys() []Key[ann] {
	return []Key[ann]{
		boolKey("profiles.sample-attribute", "Makes the field a label of the samples in a [profile](profiling.md).",
			func(a *ann) *bool { return &fresh(&a.Profile).Attribute }),
		pointerKey("flamegraph.level", "Makes the field frames of a flame graph. The field with the smallest level is next to the root.",
			Value{Kind: Whole, Max: maxCount}, readWhole, func(a *ann) **int { return &fresh(&a.Profile).Level }),
		textKey(Line, "flamegraph.type", "With `"+event.StackType+"`, the field of a flame graph is a stack. With anything else it is one frame.",
			func(a *ann) *string { return &fresh(&a.Profile).Type }),
	}
}

func readOneField(v Value, text string) ([]string, error) {
	text, err := readText(v, text)
	return []string{text}, err
}
