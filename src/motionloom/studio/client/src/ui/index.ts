export { Button, type ButtonProps, IconButton, type IconButtonProps, Spinner } from "./Button";
export { copyText } from "./copy";
export { Dialog, type DialogProps } from "./Dialog";
export {
  Checkbox,
  type Choice,
  ColorSwatch,
  Field,
  type FieldProps,
  NumberField,
  numberText,
  Select,
  Slider,
  Switch,
  TextArea,
  TextField,
} from "./fields";
export { Icon, type IconName, Mark } from "./icons";
export { Menu, type MenuEntry } from "./Menu";
export { keyText, listShortcuts, registerShortcuts, type Shortcut, useShortcuts } from "./shortcuts";
export { type Tab, Tabs } from "./Tabs";
export { Tooltip } from "./Tooltip";
export { Toasts, toast } from "./toast";
