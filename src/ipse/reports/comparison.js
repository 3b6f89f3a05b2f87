"use strict";
for (const input of document.querySelectorAll(".pair input")) {
  const follow = () => input.parentElement.style.setProperty("--cut", input.value + "%");
  input.addEventListener("input", follow);
  follow();
}
