#version 3.7;
// SPDX-License-Identifier: Apache-2.0
global_settings { assumed_gamma 1.0 }
camera { location <0, 2, -6> look_at <0, 0.5, 0> }
light_source { <4, 6, -4> color rgb 1 }
plane { y, 0 pigment { checker color rgb 0.9 color rgb 0.3 } }
sphere {
	<2 * sin(2 * pi * clock), 0.8, 2 * cos(2 * pi * clock)>, 0.8
	pigment { color rgb <0.8, 0.2, 0.1> }
	finish { phong 0.6 }
}
